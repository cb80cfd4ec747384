export { approvalDecisions, approvals } from './approvals.ts';
export { issuerRecords, orgs, people, personTokens } from './identity.ts';
export { mcpAnswers, mcpSessions, mcpStreamEvents, mcpStreams, mcpTasks, mcpUpstreamSessions, mcpUsedRounds } from './mcp.ts';
export { auditEvents, contents, decisionFacts, operations } from './records.ts';
export { definitionSights, definitions, policyBundles, resources } from './resources.ts';
export { agents, reservations, runs } from './runs.ts';
