export { approvalDecisions, approvals } from './approvals.ts';
export { auditCheckpoints, auditEvents, auditLinks, auditPeople } from './audit.ts';
export { channelDeliveries } from './channels.ts';
export { flowLabels } from './flow.ts';
export { backendClients, backendGrants, identityAssertions } from './grants.ts';
export { issuerRecords, orgs, people, personTokens, signingKeys } from './identity.ts';
export { orgKeys, sealKeys } from './keys.ts';
export { halts, rateHolds, ratePlaces, rateWindows } from './limits.ts';
export { mcpAnswers, mcpSessions, mcpStreamEvents, mcpStreams, mcpTasks, mcpUpstreamSessions, mcpUsedRounds } from './mcp.ts';
export { policyRevisions, processAnswers, processOrders, processReports } from './processes.ts';
export {
  reconcileBudgets,
  reconcileFences,
  reconcileFixes,
  reconcileHolds,
  reconcilePauses,
  reconcileSteps,
  reconcileTargets,
} from './reconcile.ts';
export { contents, decisionFacts, operations } from './records.ts';
export { definitionSights, definitions, policyBundles, resources } from './resources.ts';
export { auditRemoved, retentionProgress } from './retention.ts';
export { agents, reservations, runs } from './runs.ts';
