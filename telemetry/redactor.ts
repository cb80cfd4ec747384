import { createHmac, randomBytes } from 'node:crypto';
import { encodedForms } from './encoded-forms.ts';
import { replaceSecretShapes } from './secret-shapes.ts';

/** Shorter values stand in too many innocent words; nothing but the names of fields keeps these. */
export const shortestKnown = 6;
/** What was known longest is forgotten first. */
const mostKnown = 2_000;

const escapePattern = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');

/**
 * Replaces secrets in whatever leaves a process: values that it was given by reference, in each form in which they may be written, and
 * whatever has the shape of a token. What stands in their place is a keyed fingerprint: two places with one secret can be told to belong
 * together, and a guess cannot be confirmed without the key.
 * @param key - 32 bytes; the same one gives the same fingerprints
 */
export const createRedactor = (key: Buffer) => {
  let fingerprintKey = key;
  const known = new Map<string, string>();
  let pattern: RegExp | undefined;
  let isStale = false;

  const fingerprint = (value: string): string =>
    `[secret:${createHmac('sha256', fingerprintKey).update(value).digest('hex').slice(0, 12)}]`;

  /** Form -> value, compiled when something is to be redacted and not with each value. */
  let secretOf = new Map<string, string>();
  const compile = (): void => {
    secretOf = new Map([...known.keys()].flatMap((value) => encodedForms(value).map((form) => [form, value] as const)));
    const forms = [...secretOf.keys()].sort((a, b) => b.length - a.length);
    pattern = forms.length === 0 ? undefined : new RegExp(forms.map(escapePattern).join('|'), 'g');
    isStale = false;
  };

  /** Replaces known values alone, in whatever form they stand. */
  const replaceKnown = (text: string, replace: (secret: string) => string): string => {
    if (isStale) compile();
    return pattern ? text.replace(pattern, (form) => replace(secretOf.get(form) ?? form)) : text;
  };

  return {
    /** From now on this value is replaced wherever it appears. */
    know: (value: string): void => {
      if (value.length < shortestKnown || known.has(value)) return;
      known.set(value, value);
      if (known.size > mostKnown) known.delete(known.keys().next().value ?? '');
      isStale = true;
    },
    /** Fingerprints of all processes agree when they have one key. */
    useKey: (next: Buffer): void => {
      fingerprintKey = next;
    },
    fingerprint,
    known: replaceKnown,
    /** @returns the text without secrets; the same string when there is none */
    text: (text: string): string => replaceSecretShapes(replaceKnown(text, fingerprint), fingerprint),
  };
};
export type Redactor = ReturnType<typeof createRedactor>;

/** The one of this process: what resolves a reference tells it, and each sink asks it. */
export const redactor: Redactor = createRedactor(randomBytes(32));
