/**
 * JSON whose numbers come out as they went in. A number of JavaScript holds 53 bits, so that an identifier such as 9007199254740993 would
 * leave as another one, and `1e999` as null; who passes messages on must not change what they say.
 * @see https://www.rfc-editor.org/rfc/rfc8259#section-6
 */
type Raw = { readonly rawJSON: string };

/** Part of ECMAScript (JSON.parse source text access), and not yet of the compiler's library. */
const { rawJSON, isRawJSON } = JSON as unknown as { rawJSON(text: string): Raw; isRawJSON(value: unknown): value is Raw };

/** Where no number is written like this, each is read exactly, or as exactly as any reader has it. */
const long = /[\d.]{16}|[eE][+-]?\d{3}/;
/** So many digits come back from a number as they were. */
const sureDigits = 15;

const exactly = (source: string): number | Raw => {
  const value = Number(source);
  if (source.length <= sureDigits && !long.test(source)) return value;
  return String(value) === source ? value : rawJSON(source);
};

const backslash = 92;
const space = /[ \n\r\t]*/y;
const number = /[-+.\deE]+/y;

/**
 * Reads what `JSON.parse` has accepted, so that nothing needs to be checked. It could do the same itself, with a function that looks at
 * each value: that costs a microsecond or two for each, seconds for a text of 4 MB.
 */
class ExactReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(): unknown {
    switch (this.#next()) {
      case '"':
        return this.#string();
      case '{':
        return this.#object();
      case '[':
        return this.#array();
      case 't':
        return this.#behind(4, true);
      case 'f':
        return this.#behind(5, false);
      case 'n':
        return this.#behind(4, null);
      default:
        return exactly(this.#match(number));
    }
  }

  #next(): string | undefined {
    const character = this.#text[this.#at];
    if (character === undefined || character > ' ') return character;
    this.#match(space);
    return this.#text[this.#at];
  }

  #match(pattern: RegExp): string {
    const from = this.#at;
    pattern.lastIndex = from;
    pattern.test(this.#text);
    this.#at = pattern.lastIndex;
    return this.#text.slice(from, this.#at);
  }

  #behind<Value>(characters: number, value: Value): Value {
    this.#at += characters;
    return value;
  }

  #string(): string {
    const from = this.#at;
    let end = this.#text.indexOf('"', from + 1);
    while (this.#isEscaped(end)) end = this.#text.indexOf('"', end + 1);
    this.#at = end + 1;
    // a slice would keep the whole text alive
    return JSON.parse(this.#text.slice(from, this.#at)) as string;
  }

  #isEscaped(quoteAt: number): boolean {
    let slashes = 0;
    while (this.#text.charCodeAt(quoteAt - 1 - slashes) === backslash) slashes += 1;
    return slashes % 2 === 1;
  }

  #array(): unknown[] {
    const elements: unknown[] = [];
    this.#at += 1;
    for (let next = this.#next(); next !== ']'; next = this.#next()) {
      if (next === ',') this.#at += 1;
      elements.push(this.value());
    }
    return this.#behind(1, elements);
  }

  #object(): object {
    const members: Record<string, unknown> = {};
    this.#at += 1;
    for (let next = this.#next(); next !== '}'; next = this.#next()) {
      if (next === ',') this.#at += 1;
      this.#next();
      const key = this.#string();
      this.#next();
      this.#at += 1;
      const value = this.value();
      // assigned, it would become the object's prototype
      if (key === '__proto__') Object.defineProperty(members, key, { value, enumerable: true, writable: true, configurable: true });
      else members[key] = value;
    }
    return this.#behind(1, members);
  }
}

/**
 * Parses a text as `JSON.parse` does, except that numbers which would not be the same again become values that only `JSON.stringify`
 * understands: it writes them as they stood.
 * @throws {SyntaxError} for what is not JSON
 */
export const parseExactly = (text: string): unknown => {
  const value: unknown = JSON.parse(text);
  return long.test(text) ? new ExactReader(text).value() : value;
};

/** A number that is kept as it was written. */
export const isExactNumber = (value: unknown): value is Raw => isRawJSON(value);

/** The digits of such a number. */
export const textOfExactNumber = (value: Raw): string => value.rawJSON;

const holdsExactNumber = (value: unknown): boolean => {
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return value.some(holdsExactNumber);
  if (isRawJSON(value)) return true;
  for (const key in value) if (holdsExactNumber((value as Record<string, unknown>)[key])) return true;
  return false;
};

const plainly = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value;
  if (isRawJSON(value)) return Number(value.rawJSON);
  if (Array.isArray(value)) return value.map(plainly);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plainly(inner)]));
};

/** The value with all such numbers as JavaScript has them, for who looks at numbers; the value itself where there are none. */
export const inPlainNumbers = (value: unknown): unknown => (holdsExactNumber(value) ? plainly(value) : value);
