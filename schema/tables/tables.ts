export { orgs, people, personTokens } from './identity.ts';
export { auditEvents, contents, operations } from './records.ts';
export { resources, toolDefinitions } from './resources.ts';
export { agents, reservations, runs } from './runs.ts';
