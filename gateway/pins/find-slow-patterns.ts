import { isObject } from '../mcp/message.ts';

/** A part of a pattern: what one repetition takes at most and at least, and the characters that it may be made of. */
type Part = { body: Part[][] | undefined; characters: ReadonlySet<string> | undefined; isOptional: boolean; isUnbounded: boolean };

const longestPattern = 2_000;
const mostPatterns = 1_000;
const escapeAtom = /^\\(?:u\{[0-9a-f]+\}|u[0-9a-f]{4}|x[0-9a-f]{2}|[pP]\{[^}]*\}|k<[^>]*>|c[a-z]|[\s\S])/i;
const classAtom = /^\[(?:\\[\s\S]|[^\]\\])*\]/;
const groupStart = /^\((?:\?(?:[:=!]|<[=!]|<[^>]*>))?/;
const quantifier = /^(?:[*+?]|\{(\d+)(?:,(\d*))?\})[?+]?/;
/** More than so many times a part is no different from without end, for who waits. */
const manyTimes = 25;

/** Each ASCII character, and some of those beyond. */
const samples = [...Array.from({ length: 128 }, (_, code) => String.fromCharCode(code)), 'é', 'я', '中', '\u2028'];

const charactersOf = (atom: string): ReadonlySet<string> => {
  try {
    const one = new RegExp(`^(?:${atom})$`, 'su');
    return new Set(samples.filter((sample) => one.test(sample)));
  } catch {
    return new Set(samples);
  }
};

/** Reads a pattern from a place on, up to the end of its group. */
const readAlternatives = (pattern: string, from: number): { alternatives: Part[][]; end: number } => {
  const alternatives: Part[][] = [[]];
  let at = from;
  while (at < pattern.length && pattern[at] !== ')') {
    const rest = pattern.slice(at);
    if (rest.startsWith('|')) {
      alternatives.push([]);
      at += 1;
      continue;
    }
    let body: Part[][] | undefined;
    let characters: ReadonlySet<string> | undefined;
    const group = groupStart.exec(rest)?.[0];
    if (group !== undefined) {
      const inner = readAlternatives(pattern, at + group.length);
      body = inner.alternatives;
      at = inner.end + 1;
    } else {
      const atom = escapeAtom.exec(rest)?.[0] ?? classAtom.exec(rest)?.[0] ?? rest.charAt(0);
      at += atom.length;
      // what takes no character separates nothing
      if (/^(?:[\^$]|\\[bB])$/.test(atom)) continue;
      characters = charactersOf(atom);
    }
    const repeated = quantifier.exec(pattern.slice(at));
    at += repeated?.[0].length ?? 0;
    const [sign = ''] = repeated?.[0] ?? '';
    const [, least, most] = repeated ?? [];
    const isUnbounded = sign === '*' || sign === '+' || (most !== undefined && (most === '' || Number(most) >= manyTimes));
    alternatives.at(-1)?.push({ body, characters, isOptional: sign === '*' || sign === '?' || least === '0', isUnbounded });
  }
  return { alternatives, end: at };
};

const meet = (one: ReadonlySet<string>, other: ReadonlySet<string>): boolean => [...one].some((each) => other.has(each));

/** All characters that a part may be made of. */
const allOf = ({ body, characters }: Part): ReadonlySet<string> =>
  characters ?? new Set((body ?? []).flat().flatMap((part) => [...allOf(part)]));

/** Parts without end inside of others, wherever they stand. */
const unboundedIn = (parts: Part[]): Part[] =>
  parts.flatMap((part) => [...(part.isUnbounded ? [part] : []), ...unboundedIn((part.body ?? []).flat())]);

/**
 * Whether one text can be taken by a repeated group in many ways: a part without end in it is held apart from its next repetition by nothing that
 * has to stand between them and is made of other characters; or two of its alternatives take the same character.
 */
const isAmbiguous = (alternatives: Part[][]): boolean =>
  alternatives.some((parts) =>
    unboundedIn(parts).some((inner) => {
      const taken = allOf(inner);
      return !parts.some((part) => !part.isOptional && part !== inner && !meet(allOf(part), taken));
    }),
  ) ||
  alternatives.some(
    ([one, ...more], index) =>
      more.length === 0 &&
      one !== undefined &&
      alternatives
        .slice(index + 1)
        .some(([other, ...others]) => others.length === 0 && other !== undefined && meet(allOf(one), allOf(other))),
  );

const isSlow = (alternatives: Part[][]): boolean =>
  alternatives.flat().some(({ body, isUnbounded }) => body !== undefined && ((isUnbounded && isAmbiguous(body)) || isSlow(body)));

/** Whether a regular expression may take a time that doubles with each character of a text that is made for it. */
export const isSlowPattern = (pattern: string): boolean => isSlow(readAlternatives(pattern, 0).alternatives);

const patternsIn = (schema: unknown, found: Set<string>): void => {
  if (found.size > mostPatterns || typeof schema !== 'object' || schema === null) return;
  if (isObject(schema)) {
    if (typeof schema.pattern === 'string') found.add(schema.pattern);
    if (isObject(schema.patternProperties)) for (const name of Object.keys(schema.patternProperties)) found.add(name);
  }
  for (const inner of Object.values(schema)) patternsIn(inner, found);
};

/**
 * Says which patterns of a tool's schemas may take for ever on a text that is made for them. The gateway evaluates none, but clients do, and
 * they have one thread.
 * @returns one sentence part for each
 */
export const findSlowPatterns = (definition: Readonly<Record<string, unknown>>): string[] => {
  const found = new Set<string>();
  patternsIn([definition.inputSchema, definition.outputSchema], found);
  return [...found].flatMap((pattern) => {
    const named = `the pattern ${JSON.stringify(pattern.slice(0, 80))}`;
    if (pattern.length > longestPattern) return [`${named} … is too long to be judged`];
    return isSlowPattern(pattern) ? [`${named} can take for ever`] : [];
  });
};
