/** A part of a pattern: what it may be made of, how often it is repeated, and whether it only looks and takes nothing. */
export type Part = {
  body: Part[][] | undefined;
  characters: ReadonlySet<string> | undefined;
  isOptional: boolean;
  isUnbounded: boolean;
  /** Whether it may be repeated more and less often. */
  isVariable: boolean;
  isLook: boolean;
};

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

/** Reads a pattern from a place on, up to the end of its group; it need not be one that a compiler would take. */
export const readPattern = (pattern: string, from: number): { alternatives: Part[][]; end: number } => {
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
    const isLook = group !== undefined && /^\(\?<?[=!]/.test(group);
    if (group !== undefined) {
      const inner = readPattern(pattern, at + group.length);
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
    // a group that is there thirty times can be taken in as many ways as one without end; one character cannot
    const times = most ?? (body ? least : undefined);
    const isUnbounded = sign === '*' || sign === '+' || (times !== undefined && (times === '' || Number(times) >= manyTimes));
    alternatives.at(-1)?.push({
      body,
      characters: isLook ? new Set() : characters,
      isOptional: isLook || sign === '*' || sign === '?' || least === '0',
      isUnbounded,
      isVariable: isUnbounded || sign === '?' || (most !== undefined && most !== least),
      isLook,
    });
  }
  return { alternatives, end: at };
};
