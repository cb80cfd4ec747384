import { createHash } from 'node:crypto';
import { z } from 'zod';
import { parseExactly } from '../schema/exact-json.ts';
import { canonicalJson } from './resources.ts';

/** All that makes one call another: a change of any of it is a call that nobody approved. */
const ExactCallSchema = z.object({
  org: z.string(),
  project: z.string(),
  server: z.string(),
  tool: z.string(),
  definitionHash: z.string(),
  arguments: z.record(z.string(), z.unknown()),
  /** What the caller answers to a server's questions in the middle of the call. */
  inputResponses: z.unknown().optional(),
});
export type ExactCall = z.infer<typeof ExactCallSchema>;

export const digestOfText = (text: string): string => createHash('sha256').update(text).digest('hex');

/** A call as the one text that is shown to approvers, that the digest is of, and out of which the approved call is made. */
export const writeExactCall = (call: ExactCall): { text: string; digest: string } => {
  const text = canonicalJson(call);
  return { text, digest: digestOfText(text) };
};

export const readExactCall = (text: string): ExactCall => ExactCallSchema.parse(parseExactly(text));
