export { approvalDecisions, approvals } from './approvals.ts';
export { auditCheckpoints, auditEvents, auditLinks, auditPeople } from './audit.ts';
export { backendClients, backendGrants, identityAssertions } from './grants.ts';
export { issuerRecords, orgs, people, personTokens, signingKeys } from './identity.ts';
export { halts, rateWindows } from './limits.ts';
export { mcpAnswers, mcpSessions, mcpStreamEvents, mcpStreams, mcpTasks, mcpUpstreamSessions, mcpUsedRounds } from './mcp.ts';
export { contents, decisionFacts, operations } from './records.ts';
export { definitionSights, definitions, policyBundles, resources } from './resources.ts';
export { agents, reservations, runs } from './runs.ts';
