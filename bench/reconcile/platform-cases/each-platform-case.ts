// one line a case

export { missingAgents } from './a01-missing-agents.ts';
export { orphanedAgent } from './a02-orphaned-agent.ts';
export { silentWorkers } from './a03-silent-workers.ts';
export { obedientAgent } from './a12-obedient-agent.ts';
export { brokenRoute } from './g01-broken-route.ts';
export { changedTool } from './g03-changed-tool.ts';
export { staleList } from './g04-stale-list.ts';
export { sameNames } from './g05-same-names.ts';
export { unheardPolicies } from './g06-unheard-policies.ts';
export { brokenPolicies } from './g07-broken-policies.ts';
export { unknownKeys } from './g08-unknown-keys.ts';
export { stormingAgent } from './g10-storming-agent.ts';
export { expiredToken } from './g11-expired-token.ts';
