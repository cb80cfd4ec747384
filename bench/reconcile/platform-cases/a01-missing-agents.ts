import { areAtWork, crew, crewOf, launchCrew, thinkingCrew } from './agents-at-work.ts';
import type { PlatformCase } from './platform-case.ts';
import { wrongPlatformFix } from './wrong-platform-fix.ts';

const workers = 4;

/** Somebody ends the workflows that count on agents; the rows of the run still do. */
export const missingAgents: PlatformCase = {
  id: 'A01',
  fault: 'agents of a run are not there',
  watch: ['runs'],
  declare: () => crew(),
  begin: async (lane) => {
    thinkingCrew(lane, workers);
    await launchCrew(lane, workers);
  },
  inject: async (lane) => {
    const { fleet, shard } = crewOf(lane);
    for (const id of [fleet, shard]) await lane.temporal.workflow.getHandle(id).terminate('by hand');
  },
  seenAs: /^unhealthy Agent\/\S+\/worker\/\d+ AgentMissing/,
  isWell: async (lane) => {
    const run = crewOf(lane);
    const { agents } = await run.progress();
    // as many as there were, and each under the id that it had
    return agents.filter(({ stage }) => stage === 'work').length === workers && (await areAtWork(lane, run));
  },
  right: { ends: ['fixed'], operations: () => [{ op: 'startAgent' }] },
  wrong: (lane) => wrongPlatformFix('A01', lane),
};
