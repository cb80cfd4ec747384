/** What workers bundle: each export is a workflow type by its name in `schema/workflow-contract.ts`. */
export { agent } from './agent.ts';
export { fleet } from './fleet.ts';
export { reconcile } from './reconcile.ts';
export { shard } from './shard.ts';
