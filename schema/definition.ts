import { z } from 'zod';

/** What a server offers under a name and is pinned: concrete resources are not, they are asked for when they are needed. */
export const DefinitionKindSchema = z.enum(['tool', 'prompt', 'template']);
export type DefinitionKind = z.infer<typeof DefinitionKindSchema>;

/**
 * How a definition stands. `pending`: from the first look at its server, not approved yet; `new`: offered later, not approved yet;
 * `changed`: offered otherwise than it was approved; `gone`: approved, and offered no more;
 * `quarantined`: the reconciler took it out of use until a person accepts it. Only `approved` ones are used.
 */
export const PinStateSchema = z.enum(['approved', 'changed', 'new', 'pending', 'gone', 'quarantined']);
export type PinState = z.infer<typeof PinStateSchema>;

/** A definition as the api shows it. */
export const PinSchema = z.object({
  server: z.string(),
  kind: DefinitionKindSchema,
  /** Of a template its `uriTemplate`. */
  name: z.string(),
  state: PinStateSchema,
  approvedHash: z.string(),
  currentHash: z.string(),
  /** What agents see, or saw until it changed; null before the first approval. */
  pinned: z.record(z.string(), z.unknown()).nullable(),
  /** What the server offers instead; null when that is the pinned one, or nothing. */
  offered: z.record(z.string(), z.unknown()).nullable(),
  /** Why what is offered is accepted only by a person who says that they saw this. */
  issues: z.array(z.string()),
  warnings: z.array(z.string()),
  /** Null when the server's `apply` was the approval. */
  approvedBy: z.string().nullable(),
});
export type Pin = z.infer<typeof PinSchema>;

/** What a person accepts: exactly what they saw. Of what is `gone`, accepting lets the pin go; its `currentHash` is empty. */
export const AcceptPinsSchema = z.strictObject({
  definitions: z
    .array(z.strictObject({ kind: DefinitionKindSchema, name: z.string().min(1).max(1024), currentHash: z.string().max(128) }))
    .min(1)
    .max(1000),
  acceptIssues: z.boolean().default(false),
});
export type AcceptPins = z.infer<typeof AcceptPinsSchema>;
