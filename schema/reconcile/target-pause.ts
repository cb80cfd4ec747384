import { z } from 'zod';

/** What people have paused: seen and reported, and not changed. `target` is empty where it is all of the project; `untilAt` null until somebody lifts it. */
export const TargetPauseSchema = z.object({
  org: z.string(),
  project: z.string(),
  target: z.string(),
  reason: z.string(),
  pausedBy: z.string(),
  decisionId: z.string(),
  pausedAt: z.string(),
  untilAt: z.string().nullable(),
});
export type TargetPause = z.infer<typeof TargetPauseSchema>;
