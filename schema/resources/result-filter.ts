import { z } from 'zod';

export const MaskKindSchema = z.enum(['secrets', 'personal']);
export type MaskKind = z.infer<typeof MaskKindSchema>;

/**
 * What is replaced in what comes back: `secrets` are tokens and keys by their shape and all that references have led to, `personal` are
 * e-mail addresses, telephone numbers in international form, payment cards, IBANs and US social security numbers.
 */
export const ResultFilterSchema = z.strictObject({ mask: z.array(MaskKindSchema).min(1).max(2) });
export type ResultFilter = z.infer<typeof ResultFilterSchema>;
