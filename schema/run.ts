import { z } from 'zod';
import { RunIdSchema } from './ids.ts';

/** `starting` until the workflow is known to run; the last four are ends. */
export const RunStateSchema = z.enum(['starting', 'running', 'cancelling', 'succeeded', 'partial', 'failed', 'cancelled']);
export type RunState = z.infer<typeof RunStateSchema>;
export const endedRunStates: readonly RunState[] = ['succeeded', 'partial', 'failed', 'cancelled'];

/** `parked` keeps the transcript: a person can resume the agent. */
export const AgentStateSchema = z.enum(['pending', 'running', 'done', 'parked', 'failed', 'cancelled']);
export type AgentState = z.infer<typeof AgentStateSchema>;

/** Why an agent was parked, for people and for `fleet resume`. */
export const ParkReasonSchema = z.enum([
  'limit_steps',
  'limit_calls',
  'limit_tokens',
  'limit_time',
  'limit_repeats',
  'answer_invalid',
  'tool_refused',
  'tool_failed',
  'operation_unknown',
  'model_failed',
  'not_authorised',
]);
export type ParkReason = z.infer<typeof ParkReasonSchema>;

/** A folder of the host that a run mounts. */
export const RunVolumeSchema = z.object({ name: z.string(), hostPath: z.string(), mode: z.enum(['ro', 'rw']) });
export type RunVolume = z.infer<typeof RunVolumeSchema>;

export const AgentProgressSchema = z.object({
  id: z.string(),
  stage: z.string(),
  role: z.string(),
  ordinal: z.number().int(),
  state: AgentStateSchema,
  reason: z.string().nullable(),
  detail: z.string().nullable(),
  steps: z.number().int(),
  calls: z.number().int(),
  refusals: z.number().int(),
  inputTokens: z.number().int(),
  outputTokens: z.number().int(),
  costMicroUsd: z.number().int(),
  /** Id of the approval that the agent waits for; `halt` where it waits until what is halted is lifted. */
  waitsFor: z.string().nullable(),
});
export type AgentProgress = z.infer<typeof AgentProgressSchema>;

export const StageProgressSchema = z.object({
  name: z.string(),
  role: z.string(),
  agents: z.number().int(),
  pending: z.number().int(),
  running: z.number().int(),
  done: z.number().int(),
  parked: z.number().int(),
  failed: z.number().int(),
  cancelled: z.number().int(),
});

/** What `fleet run --watch`, `fleet show` and the console read of a run. Costs are micro-dollars. */
export const RunProgressSchema = z.object({
  id: RunIdSchema,
  org: z.string(),
  project: z.string(),
  fleet: z.string(),
  state: RunStateSchema,
  reason: z.string().nullable(),
  startedBy: z.string(),
  createdAt: z.string(),
  endedAt: z.string().nullable(),
  /** Since when its agents' tokens are refused, whatever its state. */
  revokedAt: z.string().nullable().default(null),
  quality: z.enum(['tiny', 'standard']),
  /** Absolute path of the result on the host, once there is one. */
  result: z.string().nullable(),
  outputDirectory: z.string().nullable(),
  stages: z.array(StageProgressSchema),
  agents: z.array(AgentProgressSchema),
  totals: z.object({
    calls: z.number().int(),
    refusals: z.number().int(),
    inputTokens: z.number().int(),
    outputTokens: z.number().int(),
    costMicroUsd: z.number().int(),
  }),
});
export type RunProgress = z.infer<typeof RunProgressSchema>;

/** What `POST …/runs` takes: folders by absolute path. */
export const StartRunSchema = z.strictObject({
  fleet: z.string().min(1),
  inputs: z.record(z.string(), z.string().max(32_768)).default({}),
  /** Absolute path of a folder for the output; a folder of the run in the data folder by default. */
  outputDirectory: z.string().startsWith('/').optional(),
});
export type StartRun = z.infer<typeof StartRunSchema>;

/** What `POST …/runs/ID/resume` takes: added to the limits of each parked agent. */
export const ResumeRunSchema = z.strictObject({
  agents: z.array(z.string()).optional(),
  addSteps: z.number().int().min(0).max(1000).default(0),
  addCalls: z.number().int().min(0).max(10_000).default(0),
  addTokens: z.number().int().min(0).max(100_000_000).default(0),
  addSeconds: z
    .number()
    .int()
    .min(0)
    .max(30 * 86_400)
    .default(0),
});
export type ResumeRun = z.infer<typeof ResumeRunSchema>;
