/** A member of the outermost object: where its value stands in the text. */
export type JsonMember = { name: string; start: number; end: number };
export type JsonScan = { ok: true; members: JsonMember[] } | { ok: false; reason: string };

const quote = 34;
const backslash = 92;
const deepest = 64;

/** The index of the quote that ends a string; `from` stands behind the one that begins it. */
const endOfString = (text: string, from: number): number => {
  let end = text.indexOf('"', from);
  for (;;) {
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === backslash) slashes += 1;
    if (slashes % 2 === 0) return end;
    end = text.indexOf('"', end + 1);
  }
};

const isSpace = (code: number): boolean => code === 32 || code === 10 || code === 13 || code === 9;

/**
 * Looks over the text of a JSON object that `JSON.parse` has accepted. Parsers differ on keys that occur twice (first or last wins), so
 * what was checked here could differ from what a provider reads: such a text is refused, as is one nested deeper than 64 levels.
 * @returns the members of the outermost object, in their order
 * @see https://www.rfc-editor.org/rfc/rfc8259#section-4
 */
export const scanJson = (text: string): JsonScan => {
  const members: JsonMember[] = [];
  /** The keys seen in each open object; undefined for an open array. */
  const open: (Set<string> | undefined)[] = [];
  let expectsKey = false;
  let name = '';
  let start = -1;

  const endMember = (index: number): void => {
    if (open.length !== 1 || start === -1) return;
    let end = index;
    while (isSpace(text.charCodeAt(end - 1))) end -= 1;
    members.push({ name, start, end });
    start = -1;
  };

  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (open.length === 1 && !expectsKey && start === -1 && !isSpace(code) && code !== 58 && code !== 125 && code !== 44) start = index;
    if (code === quote) {
      const end = endOfString(text, index + 1);
      if (expectsKey) {
        const raw = text.slice(index + 1, end);
        // the same key may be spelled with escapes
        const key = raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw;
        const keys = open.at(-1);
        if (keys?.has(key)) return { ok: false, reason: `the key ${JSON.stringify(key.slice(0, 64))} occurs twice in one object` };
        keys?.add(key);
        if (open.length === 1) name = key;
        expectsKey = false;
      }
      index = end;
    } else if (code === 123 || code === 91) {
      if (open.length === deepest) return { ok: false, reason: `it is nested deeper than ${deepest} levels` };
      open.push(code === 123 ? new Set() : undefined);
      expectsKey = code === 123;
    } else if (code === 125 || code === 93) {
      endMember(index);
      open.pop();
      expectsKey = false;
    } else if (code === 44) {
      endMember(index);
      expectsKey = open.at(-1) !== undefined;
    }
  }
  return { ok: true, members };
};

/**
 * Writes other values into a scanned text; everything else keeps its bytes and its order. Members that are not there come last.
 * @param values - JSON texts by the member's name; the object has at least one member
 */
export const withMembers = (text: string, members: readonly JsonMember[], values: ReadonlyMap<string, string>): string => {
  const pieces: string[] = [];
  let at = 0;
  for (const { name, start, end } of members) {
    const value = values.get(name);
    if (value === undefined) continue;
    pieces.push(text.slice(at, start), value);
    at = end;
  }
  const present = new Set(members.map(({ name }) => name));
  const added = [...values].filter(([name]) => !present.has(name)).map(([name, value]) => `,${JSON.stringify(name)}:${value}`);
  const close = text.lastIndexOf('}');
  return [...pieces, text.slice(at, close), ...added, text.slice(close)].join('');
};
