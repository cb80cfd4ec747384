import { sql } from 'drizzle-orm';
import { pollUntil } from '../poll-until.ts';
import { areAtWork, crew, crewOf, isPlanner, launchCrew } from './agents-at-work.ts';
import type { PlatformCase } from './platform-case.ts';
import { wrongPlatformFix } from './wrong-platform-fix.ts';

const workers = 3;

const asks =
  '@id("asks") @approve("role:reviewer") @expires("1d") @advice("A person looks first.") forbid (principal is Quarterdeck::Agent, action == Quarterdeck::Action::"callTool", resource) unless { context.approvedCall };';

/** It waits for a person; its row says that it has ended long ago, as after a fleet that was made smaller. */
export const orphanedAgent: PlatformCase = {
  id: 'A02',
  fault: 'an agent that nothing declares any more is still there',
  watch: ['runs'],
  declare: () => [{ kind: 'PolicySet', metadata: { name: 'asks' }, spec: { cedar: asks } }, ...crew()],
  begin: async (lane) => {
    lane.playAgents(({ messages }) =>
      isPlanner(messages) ? { answer: { items: ['one', 'two', 'three'] } } : { calls: [{ name: 'look', arguments: {} }] },
    );
    const { progress } = await launchCrew(lane, workers);
    const isWaiting = async () => (await progress()).agents.filter(({ waitsFor }) => waitsFor !== null).length === workers || undefined;
    await pollUntil(isWaiting, 'all workers to wait for a person', 60_000);
  },
  inject: async (lane) => {
    const [first] = crewOf(lane).agents;
    await lane.database.execute(
      sql`update agents set state = 'cancelled', ended_at = now() - interval '1 hour' where id = ${first?.id ?? ''}`,
    );
  },
  seenAs: /^unhealthy Agent\/\S+\/worker\/\d+ AgentOrphaned/,
  isWell: async (lane) => {
    const run = crewOf(lane);
    const [first, ...others] = run.agents;
    const row = (await run.progress()).agents.find(({ id }) => id === first?.id);
    // while its row is open it is at work like the others; afterwards it is gone, and they are not
    const itself = await areAtWork(lane, { ...run, agents: first ? [first] : [] });
    return itself === (row?.state === 'running') && (await areAtWork(lane, { ...run, agents: others }));
  },
  right: { ends: ['fixed'], changes: /^agent: work\/worker\/0\/workflow$/, operations: () => [{ op: 'drainAgent' }] },
  wrong: (lane) => wrongPlatformFix('A02', lane, { agent: crewOf(lane).agents[1]?.id ?? '' }),
};
