import { maskKnownValues } from './known-values.ts';

/** Stands where a value was that may be secret. */
export const masked = '[masked]';

const secretName =
  /pass(word|wd|phrase)|pass$|secret|token|credential|api[-_.]?key|private[-_.]?key|access[-_.]?key|auth(orization)?$|cookie|session[-_.]?id|connection[-_.]?string|dsn$/i;
/** What names a secret and does not hold it: `secretName`, `secretKeyRef`, `tokenExpirationSeconds`. */
const onlyNames = /(name|ref|keyref|seconds|path|type|mount|token$|provider)s?$/i;
const isReferenceName = (name: string): boolean =>
  /^(secretName|secretRef|secretKeyRef|tokenPath|automountServiceAccountToken)$/.test(name) ||
  (onlyNames.test(name) && !/token$/i.test(name));
/** In a line of text: `password=…`, `"apiKey": "…"`, `--token …`. The value ends where a word does. */
const inText =
  /((?:(?:pass(?:word|wd|phrase)?|secret)(?:[-_]\w{1,32})?|token|credential|api[-_]?key|private[-_]?key|access[-_]?key)["']?\s{0,4}(?:[:=]|\sis\s)\s{0,4}["']?|--(?:password|token|secret|api-key)[\s=]{1,4})([^\s"',;}&]{3,512})/gi;

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

const leaves = (value: unknown): string[] => {
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) return value.flatMap(leaves);
  return isObject(value) ? Object.values(value).flatMap(leaves) : [];
};

/**
 * The strings of a state that are secret by where they stand: values of a Secret, of a variable or a field whose name says so.
 * What is found here is masked wherever else it appears, in a log of a neighbour too.
 */
export const secretValues = (state: unknown, isSecret = false): string[] => {
  if (typeof state === 'string') return isSecret ? [state] : [];
  if (Array.isArray(state)) return state.flatMap((inner) => secretValues(inner, isSecret));
  if (!isObject(state)) return [];
  if (state.kind === 'Secret') return [...leaves(state.data), ...leaves(state.stringData)];
  const isSecretVariable = typeof state.name === 'string' && secretName.test(state.name) && typeof state.value === 'string';
  return Object.entries(state).flatMap(([key, inner]) =>
    secretValues(
      inner,
      isSecret || (isSecretVariable && key === 'value') || (secretName.test(key) && !isReferenceName(key) && typeof inner === 'string'),
    ),
  );
};

/**
 * Whether a field is one that holds a secret, by its place alone.
 * @param place.state - the whole object; `holder` what the field is a member of, `parts` its pointer from the whole
 */
export const isSecretPlace = ({ state, holder, parts }: { state: unknown; holder: unknown; parts: readonly string[] }): boolean => {
  const name = parts.at(-1) ?? '';
  if (isObject(state) && state.kind === 'Secret' && (parts[0] === 'data' || parts[0] === 'stringData')) return true;
  if (name === 'value' && isObject(holder) && typeof holder.name === 'string' && secretName.test(holder.name)) return true;
  return secretName.test(name) && !isReferenceName(name);
};

/**
 * Takes secrets out of a text: values that are known, what follows a name that says so, and whatever `redact` knows or sees by its shape.
 * @param known - values found by `secretValues` in all that belongs together
 */
export const createMask = (known: Iterable<string>, redact: (text: string) => string): ((text: string) => string) => {
  const maskKnown = maskKnownValues(known, masked);
  return (text) => redact(maskKnown(text).replace(inText, (_all, name: string) => `${name}${masked}`));
};

/** The same for each string in a state, names of members too; a value that stands where secrets do goes whole, however short. */
export const maskState = (state: unknown, mask: (text: string) => string): unknown => {
  if (typeof state === 'string') return mask(state);
  if (Array.isArray(state)) return state.map((inner) => maskState(inner, mask));
  if (!isObject(state)) return state;
  const isSecretVariable = typeof state.name === 'string' && secretName.test(state.name);
  return Object.fromEntries(
    Object.entries(state).map(([key, inner]): [string, unknown] => {
      const goes =
        (state.kind === 'Secret' && (key === 'data' || key === 'stringData')) ||
        (isSecretVariable && key === 'value') ||
        (secretName.test(key) && !isReferenceName(key) && typeof inner === 'string');
      if (!goes) return [mask(key), maskState(inner, mask)];
      return [mask(key), isObject(inner) ? Object.fromEntries(Object.keys(inner).map((name) => [mask(name), masked])) : masked];
    }),
  );
};
