/** How long a person's token or login, and what an agent's row says, are believed: a token that is taken back ends within 5 s (case 30). */
export const believedMs = 2000;
/** Short, because a token may be made right after it was tried. */
export const absentMs = 250;
/** Facts kept at most; when there are more, all are looked up again. */
const mostFacts = 20_000;

type Entry<Fact> = { fact: Fact | undefined; text: string; until: number; looking?: Promise<Fact | undefined> };

const frozen = <Value>(value: Value): Value => {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value))
    for (const inner of Object.values(Object.freeze(value))) frozen(inner);
  return value;
};

/**
 * Facts from the database that are believed for a moment, so that a burst of calls asks once. As long as a fact stays the same the very
 * same frozen object is given out, and what others remember of that object (a digest, say) holds as long.
 * @param options.look - finds a fact; `until` (milliseconds since the epoch) ends the belief earlier
 * @param options.believedMs - how long a fact is believed
 * @param options.absentMs - how long it is believed that there is none
 */
export const createBelievedFacts = <Fact extends object>({
  look,
  believedMs,
  absentMs,
  now,
}: {
  look: (key: string) => Promise<{ fact: Fact; until?: number } | undefined>;
  believedMs: number;
  absentMs: number;
  now: () => number;
}) => {
  const entries = new Map<string, Entry<Fact>>();
  /** How often something was forgotten. */
  let forgotten = 0;

  const lookUp = async (key: string, hint: string, earlier: Entry<Fact> | undefined): Promise<Fact | undefined> => {
    const askedAt = now();
    const forgottenBefore = forgotten;
    const found = await look(hint);
    const text = found ? JSON.stringify(found.fact) : '';
    const fact = found && (earlier?.fact && earlier.text === text ? earlier.fact : frozen(found.fact));
    // counted from the question: what the database said may have changed the moment after
    const until =
      forgottenBefore === forgotten ? Math.min(askedAt + (found ? believedMs : absentMs), found?.until ?? Number.POSITIVE_INFINITY) : 0; // it may be what was forgotten meanwhile, read before it changed
    if (entries.size >= mostFacts) entries.clear();
    entries.set(key, { fact, text, until });
    return fact;
  };

  const find = (key: string, hint = key): Fact | undefined | Promise<Fact | undefined> => {
    const entry = entries.get(key);
    if (entry && entry.until > now()) return entry.fact;
    if (entry?.looking) return entry.looking;
    const looking = lookUp(key, hint, entry).catch((error: unknown) => {
      entries.delete(key);
      throw error;
    });
    entries.set(key, { fact: entry?.fact, text: entry?.text ?? '', until: 0, looking });
    return looking;
  };

  /** Stops believing the facts that match: the database is asked about them anew. */
  const forget = (matches: (fact: Fact) => boolean): void => {
    forgotten += 1;
    for (const entry of entries.values()) if (entry.fact && matches(entry.fact)) entry.until = 0;
  };

  /**
   * @param key - under what the fact is remembered
   * @param hint - what `look` is asked with; the key by default
   * @returns the fact, undefined where there is none; a promise only where the database has to be asked
   */
  return Object.assign(find, { forget });
};
