import type { AgentState, ParkReason } from './run.ts';

/**
 * Task queues, one a kind of work, so that each can be scaled and limited alone. `apply` and `diagnosis` are the reconciler's: agents that hang in
 * all of theirs do not keep it waiting.
 */
export const taskQueues = { control: 'control', model: 'model', tool: 'tool', apply: 'apply', diagnosis: 'diagnosis' } as const;

/** Names under which workflows are started; they are API of the running system. */
export const workflowTypes = { fleet: 'fleet', shard: 'shard', agent: 'agent', reconcile: 'reconcile' } as const;

/** The input of a fleet's workflow; its id is `fleetWorkflowId` of the same names. `attempt` counts resumes. */
export type FleetWorkflowInput = { org: string; project: string; fleet: string; runId: string; attempt: number };

/** At most this many agents are owned by one shard. */
export const agentsPerShard = 100;

export type ShardWorkflowInput = {
  fleetWorkflowId: string;
  org: string;
  project: string;
  runId: string;
  stage: string;
  shard: number;
  agentIds: string[];
  concurrency: number;
};

export type AgentWorkflowInput = { agentId: string };

/** How an agent ended, as its shard and fleet hear it: no content. */
export type AgentEnding = { agentId: string; state: AgentState; reason: ParkReason | null };

/** A shard tells its fleet with this signal; the payload names the shard, the rows say the rest. */
export const shardEndedSignal = 'shardEnded';
export type ShardEnded = { stage: string; shard: number };

/** Wakes an agent that waits for people: its approval was decided, or its time is over. The row says how; an activity reads it. */
export const approvalDecidedSignal = 'approvalDecided';
export type ApprovalDecided = { approvalId: string };

/** In the place of an approval's id, where an agent waits until people lift what is halted. */
export const haltLifted = 'halt';

/** Carries the operation id in a tool call's `_meta`; the same id is in the `Idempotency-Key` header. */
export const operationIdMeta = 'quarterdeck.dev/operationId';

/** The input of a target's reconcile workflow; its id is `reconcileWorkflowId` of the same names. It exists only while there is something to do. */
export type ReconcileWorkflowInput = { org: string; project: string; target: string };

/** Something of the target may have changed, or its time has come; sent with the start (signal-with-start), so that many are one. */
export const targetChangedSignal = 'targetChanged';
