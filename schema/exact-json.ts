/**
 * JSON whose numbers come out as they went in. A number of JavaScript holds 53 bits, so that an identifier such as 9007199254740993 would
 * leave as another one, and `1e999` as null; who passes messages on must not change what they say.
 * @see https://www.rfc-editor.org/rfc/rfc8259#section-6
 */
type Raw = { readonly rawJSON: string };
type Revive = (key: string, value: unknown, context: { source?: string }) => unknown;

/** Part of ECMAScript (JSON.parse source text access), and not yet of the compiler's library. */
const { parse, rawJSON, isRawJSON } = JSON as unknown as {
  parse(text: string, revive: Revive): unknown;
  rawJSON(text: string): Raw;
  isRawJSON(value: unknown): value is Raw;
};

/** Where no number is written like this, each is read exactly, or as exactly as any reader has it. */
const long = /[\d.]{16}|[eE][+-]?\d{3}/;
/** So many digits come back from a number as they were. */
const sureDigits = 15;

const revive: Revive = (_key, value, { source }) => {
  if (typeof value !== 'number' || source === undefined || (source.length <= sureDigits && !long.test(source))) return value;
  return String(value) === source ? value : rawJSON(source);
};

/**
 * Parses a text as `JSON.parse` does, except that numbers which would not be the same again become values that only `JSON.stringify`
 * understands: it writes them as they stood.
 * @throws {SyntaxError} for what is not JSON
 */
export const parseExactly = (text: string): unknown => (long.test(text) ? parse(text, revive) : JSON.parse(text));

/** A number that is kept as it was written. */
export const isExactNumber = (value: unknown): value is Raw => isRawJSON(value);

/** The digits of such a number. */
export const textOfExactNumber = (value: Raw): string => value.rawJSON;

/** The value with all such numbers as JavaScript has them, for who looks at numbers; the value itself where there are none. */
export const inPlainNumbers = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value;
  if (isRawJSON(value)) return Number(value.rawJSON);
  if (Array.isArray(value)) {
    const plain = value.map(inPlainNumbers);
    return plain.every((element, index) => element === value[index]) ? value : plain;
  }
  const entries = Object.entries(value);
  const plain = entries.map(([key, inner]) => [key, inPlainNumbers(inner)] as const);
  return plain.every(([, inner], index) => inner === entries[index]?.[1]) ? value : Object.fromEntries(plain);
};
