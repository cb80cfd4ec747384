import { z } from 'zod';

/** What keys are for: rows of the gateway, calls that wait for people, who stands behind pseudonyms, what people granted at servers. */
export const SealedNameSchema = z.enum(['gateway', 'approvals', 'people', 'grants']);
export type SealedName = z.infer<typeof SealedNameSchema>;

/** The id of the key from before the first rotation. */
export const originalKey = 'original';

/** A new key seals so long after it was made: every process has read it by then. */
export const sealsAfterMs = 10_000;
/** Clients hold sealed texts too, sessions for a week at most: so long after it sealed last, a key still opens. */
export const opensAtLeastMs = 7 * 86_400_000 + 600_000;

/**
 * `asked` for and not made yet; `next` to seal, in a moment; `active` seals what comes; `old` opens what it sealed until that is sealed
 * anew; `retired` is gone.
 */
export const SealKeySchema = z.object({
  name: SealedNameSchema,
  id: z.string(),
  state: z.enum(['asked', 'next', 'active', 'old', 'retired']),
  madeAt: z.iso.datetime().nullable(),
  /** Since when another one seals in its place. */
  replacedAt: z.iso.datetime().nullable(),
  retiredAt: z.iso.datetime().nullable(),
  /** Rows that stand on it. */
  rows: z.number().int(),
  /** Whether that is an estimate: large tables are read in part. */
  isEstimate: z.boolean().default(false),
});
export type SealKey = z.infer<typeof SealKeySchema>;

export const RotateSealKeysSchema = z.strictObject({ names: z.array(SealedNameSchema).min(1) });
export const RetireSealKeySchema = z.strictObject({ name: SealedNameSchema, id: z.string().regex(/^([0-9a-f]{16}|original)$/) });

/** The keys that wrap others, named as their files are: of contents, pseudonyms and grants; of the gateway's rows and approvals; of the issuer's own. */
export const RootNameSchema = z.enum(['content.key', 'gateway.key', 'issuer.key']);
export type RootName = z.infer<typeof RootNameSchema>;

/** A version of a key that wraps others. The file says which there are, the database what each has wrapped. */
export type RootKeyVersion = {
  name: RootName;
  id: string;
  /** `wraps` what comes; `opens` what it wrapped; `unknown` to the process that was asked, though something stands on it. */
  state: 'wraps' | 'opens' | 'unknown';
  /** Keys and codes that stand on it. */
  wraps: number;
  /** What else needs it: keys of the installation that were never rotated are made from the original version. */
  needed: string[];
};
