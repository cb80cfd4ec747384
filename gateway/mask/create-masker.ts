import { isExactNumber } from '../../schema/exact-json.ts';
import type { MaskKind, ResultFilter } from '../../schema/resources/result-filter.ts';
import { redactor } from '../../telemetry/redactor.ts';
import { replaceSecretShapes } from '../../telemetry/secret-shapes.ts';
import { type PersonalKind, replacePersonal } from './personal-shapes.ts';

/** How often something of each kind was replaced: what the audit says of it, and nothing more. */
export type MaskCounts = Partial<Record<PersonalKind | 'secret', number>>;

export type Masker = {
  /** Adds to `counts` what it replaces. */
  text(text: string, counts: MaskCounts): string;
  /** All texts and numbers of a JSON value, names of members too; the same value where there was nothing. What is named in `as they are` stays. */
  json<T>(value: T, counts: MaskCounts): T;
};

/** Members that others have to get back exactly, and pictures and sound, which are no text. */
const asTheyAre: ReadonlySet<string> = new Set(['requestState', 'taskId', 'blob', 'mimeType']);
const isBinary = ({ type }: Record<string, unknown>): boolean => type === 'image' || type === 'audio';

const createTextMasker = (kinds: ReadonlySet<MaskKind>): Masker['text'] => {
  const masksSecrets = kinds.has('secrets');
  const masksPersonal = kinds.has('personal');
  return (text, counts) => {
    const replaced = (kind: keyof MaskCounts): string => {
      counts[kind] = (counts[kind] ?? 0) + 1;
      return `[masked:${kind}]`;
    };
    let clean = text;
    if (masksSecrets)
      clean = replaceSecretShapes(
        redactor.known(clean, () => replaced('secret')),
        () => replaced('secret'),
      );
    if (masksPersonal) clean = replacePersonal(clean, replaced);
    return clean;
  };
};

const create = (kinds: ReadonlySet<MaskKind>): Masker => {
  const text = createTextMasker(kinds);

  /** A number may be a card; it becomes a text, for there is no number that says that there was one. */
  const masked = (value: unknown, counts: MaskCounts): unknown => {
    if (typeof value === 'string') return text(value, counts);
    if (typeof value === 'number' || isExactNumber(value)) {
      const digits = JSON.stringify(value);
      if (digits.length < 13) return value;
      const clean = text(digits, counts);
      return clean === digits ? value : clean;
    }
    if (Array.isArray(value)) {
      const items = value.map((item) => masked(item, counts));
      return items.some((item, index) => item !== value[index]) ? items : value;
    }
    if (typeof value !== 'object' || value === null) return value;
    return maskedObject(value as Record<string, unknown>, counts);
  };

  const maskedObject = (value: Record<string, unknown>, counts: MaskCounts): Record<string, unknown> => {
    let isChanged = false;
    const hasBytes = isBinary(value);
    const entries: [string, unknown][] = Object.entries(value).map(([name, inner]) => {
      if (asTheyAre.has(name) || (hasBytes && name === 'data')) return [name, inner];
      const [cleanName, clean] = [text(name, counts), masked(inner, counts)];
      isChanged ||= clean !== inner || cleanName !== name;
      return [cleanName, clean];
    });
    if (!isChanged) return value;
    const result: Record<string, unknown> = {};
    // two names that are masked to one stay two members
    for (const [name, inner] of entries) {
      let free = name;
      for (let number = 2; Object.hasOwn(result, free); number += 1) free = `${name}#${number}`;
      Object.defineProperty(result, free, { value: inner, enumerable: true, configurable: true, writable: true });
    }
    return result;
  };

  return { text, json: <T>(value: T, counts: MaskCounts): T => masked(value, counts) as T };
};

/** There are three: each is made once. */
const made = new Map<string, Masker>();

/**
 * The masker that all of these filters ask for together; undefined where none does, and then nothing of this runs.
 * Patterns take time linear in the text, and none comes from outside.
 */
export const maskerFor = (...filters: (ResultFilter | undefined)[]): Masker | undefined => {
  const kinds = new Set(filters.flatMap((filter) => filter?.mask ?? []));
  if (kinds.size === 0) return undefined;
  const key = [...kinds].sort().join();
  let masker = made.get(key);
  if (!masker) {
    masker = create(kinds);
    made.set(key, masker);
  }
  return masker;
};

/** Counts as facts of an audit row: `masked: { email: 2 }`; nothing where nothing was replaced. */
export const maskFacts = (counts: MaskCounts | undefined): { masked?: MaskCounts } =>
  counts && Object.keys(counts).length > 0 ? { masked: Object.fromEntries(Object.entries(counts).sort()) } : {};
