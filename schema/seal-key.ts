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
});
export type SealKey = z.infer<typeof SealKeySchema>;

export const RotateSealKeysSchema = z.strictObject({ names: z.array(SealedNameSchema).min(1) });
export const RetireSealKeySchema = z.strictObject({ name: SealedNameSchema, id: z.string().regex(/^([0-9a-f]{16}|original)$/) });
