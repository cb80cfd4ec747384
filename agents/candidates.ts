import type { Json } from './json.ts';
import type { SeenText, SeenValues } from './seen-values.ts';

/** More values than this make a grammar slow and tell a model nothing more. */
export const mostCandidates = 256;
const longestLiteral = 120;
const longestPath = 240;

/** What a model may write for a value, and what it stands for: a long text is offered by a short handle. */
export type Candidate = { offer: Json; value: Json };

/** Takes at most `most` items, evenly spread over the list, always the same ones. */
export const spread = <T>(items: readonly T[], most: number): T[] =>
  items.length <= most ? [...items] : Array.from({ length: most }, (_, index) => items[Math.floor((index * items.length) / most)] as T);

/** Cuts a list into `count` runs of neighbours of nearly equal length; none is empty when there are enough items. */
export const split = <T>(items: readonly T[], count: number): T[][] =>
  Array.from({ length: count }, (_, index) =>
    items.slice(Math.floor((index * items.length) / count), Math.floor(((index + 1) * items.length) / count)),
  );

const isLiteral = (text: string): boolean => text.length <= longestLiteral && !text.includes('\n');

/** Paths that a grammar may offer. */
export const pathCandidates = (seen: SeenValues): string[] =>
  spread(
    seen.paths.filter((path) => path.length <= longestPath),
    mostCandidates,
  );

/** Texts that a grammar may offer: short ones as they are, long ones as `$key` of the property they stood under, or `$value-3`. */
export const textCandidates = (seen: SeenValues): Candidate[] => {
  const taken = new Set(seen.texts.flatMap(({ value }) => (isLiteral(value) ? [value] : [])));
  const handleOf = ({ key }: SeenText, index: number): string => {
    const byKey = `$${key.replace(/[^\w-]/g, '')}`;
    const handle = key === 'value' || byKey === '$' || taken.has(byKey) ? `$value-${index + 1}` : byKey;
    taken.add(handle);
    return handle;
  };
  const all = seen.texts.map((text, index) => ({ offer: isLiteral(text.value) ? text.value : handleOf(text, index), value: text.value }));
  return spread(all, mostCandidates);
};

/** The handle under which a long text is offered; undefined where it is offered as it is, or not at all. */
export const handleFor = (candidates: readonly Candidate[], text: string): string | undefined => {
  const found = candidates.find(({ offer, value }) => value === text && offer !== value);
  return typeof found?.offer === 'string' ? found.offer : undefined;
};

/** Puts the texts back that the model wrote as handles, wherever they stand alone. */
export const resolveHandles = (candidates: readonly Candidate[], value: Json): Json => {
  if (typeof value === 'string') return candidates.find(({ offer }) => offer === value)?.value ?? value;
  if (Array.isArray(value)) return value.map((item) => resolveHandles(candidates, item));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, resolveHandles(candidates, inner)]));
};
