export { auditCheckpoints, auditEvents, auditLinks, auditPeople } from './audit.ts';
export { orgs, people, personTokens } from './identity.ts';
export { mcpAnswers, mcpSessions, mcpStreamEvents, mcpStreams, mcpTasks, mcpUpstreamSessions } from './mcp.ts';
export { contents, operations } from './records.ts';
export { definitionSights, definitions, resources } from './resources.ts';
export { agents, reservations, runs } from './runs.ts';
