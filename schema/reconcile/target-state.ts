import { z } from 'zod';
import { ConflictSchema, DriftSchema } from './drift.ts';
import { TargetPauseSchema } from './target-pause.ts';

/**
 * Where a target is. `unknown`: it cannot be read, and nothing is done. `waiting`: paused, held, outside its windows, cooling down or blocked.
 * `contested`: somebody else reverts what we do. `frozen`: an undo failed; a person lifts it.
 */
export const TargetPhaseSchema = z.enum([
  'clean',
  'unknown',
  'drifted',
  'fixing',
  'diagnosing',
  'awaiting-approval',
  'verifying',
  'waiting',
  'contested',
  'asking',
  'frozen',
]);
export type TargetPhase = z.infer<typeof TargetPhaseSchema>;

/** How far one attempt is, and how it ended. `ineffective`: applied, and the symptom stayed; rolled back. `refused`: by schema, checks, dry-run or policy. `stopped`: paused in the middle, and undone. */
export const FixStateSchema = z.enum([
  'diagnosing',
  'checking',
  'awaiting-approval',
  'applying',
  'verifying',
  'undoing',
  'fixed',
  'left-alone',
  'refused',
  'denied',
  'expired',
  'stale',
  'failed',
  'ineffective',
  'rolled-back',
  'stopped',
  'frozen',
  'asked',
]);
export type FixState = z.infer<typeof FixStateSchema>;

/** What `reconcile status` shows of one target. */
export const TargetStatusSchema = z.object({
  org: z.string(),
  project: z.string(),
  target: z.string(),
  type: z.enum(['kubernetes', 'platform', 'mcp']),
  phase: TargetPhaseSchema,
  message: z.string(),
  drifts: z.array(DriftSchema),
  conflicts: z.array(ConflictSchema),
  dueAt: z.string().nullable(),
  changedAt: z.string().nullable(),
  openFix: z.string().nullable(),
  approvalId: z.string().nullable(),
  /** Until when people have to answer; null where nobody is asked. */
  approvalExpiresAt: z.string().nullable(),
  /** What a person, or its declaration, has paused. */
  pause: TargetPauseSchema.nullable(),
  isPausedBySpec: z.boolean(),
  heldUntil: z.string().nullable(),
});
export type TargetStatus = z.infer<typeof TargetStatusSchema>;
