import { z } from 'zod';
import { TenancySchema } from './ids.ts';

const hex = z.string().regex(/^[0-9a-f]{64}$/);
const place = { sequence: z.number().int(), position: z.number().int().nullable(), digest: hex.nullable() };

/**
 * A line of `audit export -o chain`: a head, all checkpoints, then commit by commit its rows, and an end that says how much there was. It
 * can be verified without the platform. People stand under their pseudonyms; of rows of other projects there is nothing but a digest.
 */
export const AuditExportLineSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('head'),
    version: z.literal(1),
    ...TenancySchema.shape,
    at: z.string(),
    publicKey: z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string() }),
  }),
  z.object({ type: z.literal('checkpoint'), statement: z.string(), signature: z.string() }),
  z.object({
    type: z.literal('commit'),
    writer: z.string(),
    epoch: z.number().int(),
    number: z.number().int(),
    rows: z.number().int(),
    previous: hex,
    hash: hex,
    closes: z.boolean(),
    at: z.string(),
  }),
  z.object({ type: z.literal('row'), ...place, at: z.string(), event: z.record(z.string(), z.unknown()) }),
  z.object({ type: z.literal('withheld'), ...place }),
  /** Of the project, and removed by its retention: the row of the removal, which is among the lines, says exactly which were. */
  z.object({ type: z.literal('removed'), ...place, removal: z.string() }),
  /** `digest`: SHA-256 of all lines before, with their line breaks. */
  z.object({ type: z.literal('end'), lines: z.number().int(), digest: hex }),
]);
export type AuditExportLine = z.infer<typeof AuditExportLineSchema>;
