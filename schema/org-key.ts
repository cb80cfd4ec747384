import { z } from 'zod';
import { NameSchema } from './ids.ts';

/** `active` seals what comes; `retired` opens what it sealed until that is sealed anew; `destroyed` is gone, and what it sealed with it. */
export const OrgKeySchema = z.object({
  id: z.string(),
  state: z.enum(['active', 'retired', 'destroyed']),
  createdAt: z.iso.datetime(),
  retiredAt: z.iso.datetime().nullable(),
  destroyedAt: z.iso.datetime().nullable(),
  /** Documents that it seals. */
  contents: z.number().int(),
});
export type OrgKey = z.infer<typeof OrgKeySchema>;

/** Whoever destroys a key says its org once more: nothing brings back what it sealed. */
export const ShredKeysSchema = z.strictObject({ confirm: NameSchema });
