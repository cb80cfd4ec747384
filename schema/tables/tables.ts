export { orgs, people, personTokens } from './identity.ts';
export { mcpAnswers, mcpSessions, mcpStreamEvents, mcpStreams, mcpTasks, mcpUpstreamSessions } from './mcp.ts';
export { auditEvents, contents, decisionFacts, operations } from './records.ts';
export { definitionSights, definitions, policyBundles, resources } from './resources.ts';
export { agents, reservations, runs } from './runs.ts';
