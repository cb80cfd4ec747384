import { z } from 'zod';
import type { Tenancy } from './ids.ts';

/**
 * What a project's retention removes: rows of the audit (their digests stay), documents and transcripts, what decisions were made on, and what
 * operations ended with (the operation and the digest of its arguments stay, so that none is made twice).
 */
export const RetainedKindSchema = z.enum(['audit', 'contents', 'decisionFacts', 'outcomes']);
export type RetainedKind = z.infer<typeof RetainedKindSchema>;
export const retainedKinds = RetainedKindSchema.options;

const keptDays = z.number().int().min(1).max(36_500);

/** How many days each kind is kept; what is not named is kept for good. As long as `hold` is set, nothing is removed. */
export const RetentionSpecSchema = z.strictObject({
  /** Rows of the audit, since they were written. */
  auditDays: keptDays.optional(),
  /** Transcripts, results, inputs and evidence, since they were last used, or the run that they are of ended. */
  contentDays: keptDays.optional(),
  /** What decisions were made on, since the last decision that was made on it. */
  decisionFactDays: keptDays.optional(),
  /** What operations ended with, since they ended; at least as long as a caller may come back for it. */
  outcomeDays: keptDays.optional(),
  hold: z.boolean().default(false),
});
export type RetentionSpec = z.infer<typeof RetentionSpecSchema>;

/** The field of the spec that each kind is kept by. */
export const retentionFields = {
  audit: 'auditDays',
  contents: 'contentDays',
  decisionFacts: 'decisionFactDays',
  outcomes: 'outcomeDays',
} as const satisfies Record<RetainedKind, keyof RetentionSpec>;

/** What the controller writes to the audit for each batch that it removes; such rows are never removed. */
export const retentionAction = 'removeByRetention';
/** Nothing younger is removed, whoever asks. */
export const leastKeptMs = 86_400_000;
/** A document or a fact that is used again is marked as such no more often than this. */
export const usedAgainMs = 6 * 3_600_000;

/** Of the row that records a removal of the audit: what was removed, so that nothing else can be said to have been. */
export const AuditRemovalSchema = z.object({
  removed: z.literal('audit'),
  removal: z.string(),
  rows: z.number().int(),
  digest: z.string(),
  before: z.string(),
});
export type AuditRemoval = z.infer<typeof AuditRemovalSchema>;

/** How far a removal has come: what was older than `before`, or was not used since, went, the last of it `lastAt`. */
export const RemovedSchema = z.object({ before: z.string(), lastAt: z.string(), rows: z.number().int() });
export type Removed = z.infer<typeof RemovedSchema>;

/** What `quarterdeck project retention` shows of a project, for each kind. */
export type RetentionReport = {
  hold: boolean;
  kinds: {
    what: RetainedKind;
    /** Null where it is kept for good. */
    days: number | null;
    rows: number;
    oldestAt: string | null;
    /** What the next sweeps remove; of documents at most, since what is still referred to stays. */
    due: number;
    removed: Removed | null;
  }[];
};

/** `quarterdeck project retention --audit-days N …`: what other days would remove. */
export const RetentionQuerySchema = z.strictObject({
  auditDays: z.coerce.number().pipe(keptDays).optional(),
  contentDays: z.coerce.number().pipe(keptDays).optional(),
  decisionFactDays: z.coerce.number().pipe(keptDays).optional(),
  outcomeDays: z.coerce.number().pipe(keptDays).optional(),
});

/** Says of something that is not there any more who took it away. */
export const removedText = ({ org, project }: Tenancy, { lastAt }: Removed): string =>
  `removed by retention of project ${org}/${project} on ${lastAt.slice(0, 10)}`;
