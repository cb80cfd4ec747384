import { z } from 'zod';
import { plainText } from './plain-text.ts';

/** As much of a bundle as is laid out; what it is else is shown as it is. */
const BundleSchema = z.object({
  faultKind: z.string(),
  object: z.string(),
  why: z.string(),
  cut: z.object({ bytes: z.number(), items: z.number() }),
  flagged: z.array(z.unknown()),
  untrusted: z.array(z.object({ what: z.string(), of: z.string(), text: z.string(), cutBytes: z.number() })),
});

const marked = (text: string): string[] => text.split('\n').map((line) => `| ${plainText(line)}`);

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** A text of an observed system in lines: objects are written field by field. */
const inLines = (text: string): string => {
  const value = parsed(text);
  return typeof value === 'object' && value !== null ? JSON.stringify(value, undefined, 2) : text;
};

/**
 * What a diagnosis was made of, for people: signs before objects, and what the fault is of before its surroundings, as the bundle has them.
 * It is of observed systems, and not to be trusted: each line of theirs is marked.
 */
export const evidenceText = (evidence: string): string => {
  const found = BundleSchema.safeParse(parsed(evidence));
  if (!found.success) return marked(evidence).join('\n');
  const { faultKind, object, why, cut, flagged, untrusted } = found.data;
  return [
    plainText(
      `${faultKind} at ${object} (${why}). What follows is what the observed system says, and proves nothing about what may be done.`,
    ),
    ...(flagged.length > 0 ? [`${flagged.length} of its texts look like instructions.`] : []),
    ...(cut.items > 0 || cut.bytes > 0
      ? [`${cut.items} more items and ${cut.bytes} bytes did not fit; \`-o json\` has what is kept.`]
      : []),
    ...untrusted.flatMap(({ what, of, text, cutBytes }) => [
      plainText(`${what} of ${of}${cutBytes > 0 ? ` (${cutBytes} bytes cut)` : ''}:`),
      ...marked(inLines(text)),
    ]),
  ].join('\n');
};
