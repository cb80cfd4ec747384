/** By so many characters a value is found; shorter ones stand in too many innocent words to be looked for. */
export const shortestKnown = 6;
/** A longer value is found by so much of it; where the rest differs, the rest of the word is taken to be of it. */
const longestCompared = 32;
/** Of more values that begin alike whatever begins so is taken for one of them. */
const mostAlike = 4;

type Known = { values: { begin: string; whole: string }[]; count: number };

/**
 * Finds known values in a text, however many there are: whoever fills what is observed with them makes nobody wait for it. Where that takes
 * too long to tell more is masked, never less.
 * @param values - as they stand in texts
 * @returns replaces each by `instead`, the longest that fits at a place
 */
export const maskKnownValues = (values: Iterable<string>, instead: string): ((text: string) => string) => {
  const known = new Map<string, Known>();
  for (const value of new Set(values)) {
    if (value.length < shortestKnown) continue;
    const begin = value.slice(0, shortestKnown);
    const alike = known.get(begin) ?? { values: [], count: 0 };
    known.set(begin, alike);
    alike.count += 1;
    if (alike.count <= mostAlike) alike.values.push({ begin: value.slice(0, longestCompared), whole: value });
  }
  for (const { values: alike } of known.values()) alike.sort((one, other) => other.whole.length - one.whole.length);

  const endOfWord = (text: string, from: number): number => {
    const rest = /[\s"',;}&]/g;
    rest.lastIndex = from;
    return rest.exec(text)?.index ?? text.length;
  };
  /** Where what is known and begins at `at` ends; `at` itself where nothing does. */
  const endAt = (text: string, at: number): number => {
    const alike = known.get(text.slice(at, at + shortestKnown));
    if (!alike) return at;
    if (alike.count > mostAlike) return endOfWord(text, at + shortestKnown);
    const found = alike.values.filter(({ begin }) => text.startsWith(begin, at));
    const [first] = found;
    if (!first) return at;
    const whole = found.find((value) => text.startsWith(value.whole, at));
    return whole ? at + whole.whole.length : endOfWord(text, at + first.begin.length);
  };

  return (text) => {
    if (known.size === 0) return text;
    const parts: string[] = [];
    let kept = 0;
    for (let at = 0; at <= text.length - shortestKnown; ) {
      const end = endAt(text, at);
      if (end === at) at += 1;
      else {
        parts.push(text.slice(kept, at), instead);
        at = end;
        kept = end;
      }
    }
    return parts.length === 0 ? text : parts.join('') + text.slice(kept);
  };
};
