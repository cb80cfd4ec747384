import { z } from 'zod';
import { TenancySchema } from './ids.ts';

/** What can be wrong with the audit. Kinds are API: added, never renamed. */
export const AuditBreachKindSchema = z.enum([
  /** A row does not say what it said when it was written. */
  'row-changed',
  /** A row of a commit is gone. */
  'row-missing',
  /** A row is there that no commit has, or that has no place in a chain. */
  'row-inserted',
  /** Rows of a commit were exchanged, or put into another order. */
  'rows-reordered',
  /** A commit is not what it was, or does not follow from the one before. */
  'link-changed',
  /** A commit is gone with its rows. */
  'link-missing',
  /** A chain ends before a place that a checkpoint says it had come to. */
  'tail-missing',
  /** A chain is another one than the checkpoint has signed. */
  'chain-replaced',
  /** A checkpoint is not signed with this installation's key, or does not follow from the one before. */
  'checkpoint-forged',
  /** A checkpoint is in one of its two places only, or in neither. */
  'checkpoint-missing',
  /** An export is not whole: it was cut off, or lines of it are no lines of an export. */
  'export-damaged',
]);

export const AuditBreachSchema = z.object({
  kind: AuditBreachKindSchema,
  writer: z.string().nullable(),
  epoch: z.number().int().nullable(),
  link: z.number().int().nullable(),
  /** Of the first row concerned, as `audit query` shows it; null where no row is left. */
  sequence: z.number().int().nullable(),
  message: z.string(),
});
export type AuditBreach = z.infer<typeof AuditBreachSchema>;

/** What a check of the whole audit found. `ok` means that there is no breach; how much is yet unsigned is said beside it. */
export const AuditVerificationSchema = z.object({
  ok: z.boolean(),
  rows: z.number().int(),
  links: z.number().int(),
  chains: z.number().int(),
  checkpoints: z.number().int(),
  /** Whether checkpoints outside the database were compared. */
  hasOutsideCopy: z.boolean(),
  /** Rows from before there were chains. */
  unchainedRows: z.number().int(),
  /** Rows since the last checkpoint of their chain: whoever may write to the database as its owner could still replace those unseen. */
  unsignedRows: z.number().int(),
  /** Chains without an end in order: their process was killed, lost the database, or still runs. No breach. */
  unclosed: z.array(z.object({ writer: z.string(), epoch: z.number().int(), link: z.number().int(), at: z.string() })),
  /** Rows of which retention has left the digest alone, as the chain says, by project; `before`: older ones. */
  removed: z.array(z.object({ ...TenancySchema.shape, rows: z.number().int(), before: z.string(), lastAt: z.string() })),
  breaches: z.array(AuditBreachSchema),
  /** Breaches beyond those that are listed. */
  moreBreaches: z.number().int(),
});
export type AuditVerification = z.infer<typeof AuditVerificationSchema>;
