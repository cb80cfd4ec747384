import { z } from 'zod';
import { DefinitionKindSchema } from '../schema/definition.ts';
import { parseExactly } from '../schema/exact-json.ts';
import { FlowLabelSchema } from '../schema/flow-label.ts';
import { digestOfText } from './exact-call.ts';
import { canonicalJson } from './resources.ts';

const place = { org: z.string(), project: z.string() };

/**
 * Policies that are to be published. `bundle` is the digest of all policies of the project as they would be, `base` that of those in force
 * when it was asked: on others nobody has tried it. `flipped`: so many recorded calls would be decided otherwise.
 */
const PublicationSchema = z.object({
  kind: z.literal('publication'),
  ...place,
  base: z.string(),
  bundle: z.string(),
  flipped: z.number(),
  documents: z.array(z.unknown()),
});

/** What a server offers and is to be accepted: by the hash of each, with what was in force and what would be. */
const DefinitionsSchema = z.object({
  kind: z.literal('definitions'),
  ...place,
  server: z.string(),
  acceptIssues: z.boolean(),
  definitions: z.array(
    z.object({
      kind: DefinitionKindSchema,
      name: z.string(),
      currentHash: z.string(),
      pinned: z.unknown(),
      offered: z.unknown(),
      issues: z.array(z.string()),
    }),
  ),
});

/** What a run, or a client of a person, has read and is to be free of: exactly what each carried when it was asked, and why it may be told. */
const ReleaseSchema = z.object({
  kind: z.literal('release'),
  ...place,
  reason: z.string(),
  run: z.object({ id: z.string(), fleet: z.string() }).nullable(),
  carried: z.array(z.object({ subject: z.string(), label: FlowLabelSchema })),
});

/** A change that takes more than one person: all that makes it another one. A kind of approvals that is no call has its own here. */
export const ExactChangeSchema = z.discriminatedUnion('kind', [PublicationSchema, DefinitionsSchema, ReleaseSchema]);
export type ExactChange = z.infer<typeof ExactChangeSchema>;
export type ExactPublication = z.infer<typeof PublicationSchema>;
export type ExactDefinitions = z.infer<typeof DefinitionsSchema>;
export type ExactRelease = z.infer<typeof ReleaseSchema>;

/** A change as the one text that approvers are shown, that the digest is of, and that is put into force. */
export const writeExactChange = (change: ExactChange): { text: string; digest: string } => {
  const text = canonicalJson(change);
  return { text, digest: digestOfText(text) };
};

export const readExactChange = (text: string): ExactChange => ExactChangeSchema.parse(parseExactly(text));
