import { taskQueues } from '../../../schema/workflow-contract.ts';
import { crew, crewOf, isPlanner, launchCrew } from './agents-at-work.ts';
import { breakableOf, type PlatformCase } from './platform-case.ts';
import { wrongPlatformFix } from './wrong-platform-fix.ts';

/** The process that makes the calls of tools hangs, and an agent waits for one. */
export const silentWorkers: PlatformCase = {
  id: 'A03',
  fault: 'nobody works at a queue, and agents stall',
  watch: ['workers'],
  breaksProcesses: true,
  declare: () => crew(),
  begin: async (lane) => {
    const gate = Promise.withResolvers<void>();
    lane.later(gate.resolve);
    lane.mayGoOn = gate.resolve;
    lane.playAgents(async ({ messages }) => {
      if (isPlanner(messages)) return { answer: { items: ['a thing'] } };
      if (messages.some(({ role }) => role === 'tool')) return { answer: { done: true } };
      await gate.promise;
      return { calls: [{ name: 'look', arguments: {} }] };
    });
    await launchCrew(lane, 1);
  },
  inject: async (lane) => {
    const pid = breakableOf(lane).pidOf('worker-apart');
    if (pid === undefined) throw new Error('there is no worker process of its own');
    process.kill(pid, 'SIGSTOP');
    lane.mayGoOn?.();
  },
  seenAs: new RegExp(`^unhealthy Worker/${taskQueues.tool} NoPollers`),
  // who has said nothing for half a minute is gone
  tellableAfterMs: 35_000,
  isWell: async (lane) => {
    const { progress } = crewOf(lane);
    const { state } = await progress();
    // before: the agent thinks. Afterwards its one call was made, once, and the run went on to its end
    return lane.server.calls.length === 0 ? state === 'running' : state === 'succeeded' && lane.server.calls.join() === 'look';
  },
  right: {
    ends: ['fixed'],
    changes: /^(run: crew\/state|agent: work\/worker\/0\/(state|workflow))$/,
    operations: () => [{ op: 'restoreWorkers' }],
  },
  wrong: (lane) => wrongPlatformFix('A03', lane),
};
