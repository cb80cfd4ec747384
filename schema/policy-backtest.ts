import { z } from 'zod';
import type { PolicyEffect } from './decision-basis.ts';

/** Which recorded calls are decided again: of which time, and how many of the newest. */
export const RecordedWindowSchema = z.strictObject({
  since: z.iso.datetime({ offset: true }).optional(),
  limit: z.number().int().min(1).max(50_000).default(5_000),
});
export type RecordedWindow = z.infer<typeof RecordedWindowSchema>;

/** What `policy backtest` asks. */
export const BacktestRequestSchema = z.strictObject({
  ...RecordedWindowSchema.shape,
  /** PolicySets and AccessBindings; each takes the place of the declared one of its name. */
  documents: z.array(z.unknown()).min(1).max(1000),
  /** These are all that there will be: what is declared beside them is left out. */
  isWhole: z.boolean().default(false),
});
export type BacktestRequest = z.infer<typeof BacktestRequestSchema>;

/** Calls that would be decided otherwise: those of one role or person on one target, by the same rules. */
export type Flip = {
  role: string | null;
  /** Of an agent, on whose behalf it acted. */
  people: string[];
  action: string;
  server: string | null;
  target: string;
  from: PolicyEffect;
  to: PolicyEffect;
  /** Ids of the policies that would decide; none where no policy would permit it. */
  by: string[];
  /** What would be said to the caller. */
  advice: string[];
  /** The policies in force decide so already: what is tried changes nothing about it. */
  isSoToday: boolean;
  count: number;
  firstAt: string;
  lastAt: string;
  /** One of them, for `policy explain`. */
  decisionId: string;
};

/** Why a recorded call could not be decided again. */
export type UndecidedReason = 'arguments-not-kept' | 'facts-missing' | 'facts-removed' | 'other-project' | 'url-cut' | 'vocabulary-changed';

export type BacktestReport = {
  /** Recorded calls that were decided again. */
  decided: number;
  /** Of these, how many would be decided otherwise. */
  flipped: number;
  flips: Flip[];
  undecided: { reason: UndecidedReason; count: number }[];
  /** What of the window retention has removed, in sentences. */
  notes: string[];
  firstAt: string | null;
  lastAt: string | null;
};
