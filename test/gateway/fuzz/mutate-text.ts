import fc from 'fast-check';

/** One change to a text, at a place given in thousandths of its length. */
type Edit = { at: number; kind: 'cut' | 'drop' | 'insert' | 'repeat' | 'replace'; length: number; text: string };

/** Pieces that mean something to one of the parsers on the way. */
const pieces = [
  '\r\n', '\n', '\r\n\r\n', '\0', '\u00ff', '"', '\\', '\\u0000', '\\ud800', '{', '}', '[', ']', ',', ':', 'null', 'true', '{"toString":1}', '1e999', '-0', '9007199254740993',
  '"id":1,', '"jsonrpc":"2.0",', '"__proto__":{},', '"method":"tools/call",', '[[[[[[[[[[[[[[[[', '=?base64?', '?=', '../', '%2e%2e', '0x', 'chunked',
]; // biome-ignore format: a table

const edit = (): fc.Arbitrary<Edit> =>
  fc.record({
    at: fc.nat(999),
    kind: fc.constantFrom('cut', 'drop', 'insert', 'repeat', 'replace'),
    length: fc.integer({ min: 1, max: 40 }),
    text: fc.oneof(fc.constantFrom(...pieces), fc.string({ unit: 'binary', maxLength: 12 })),
  });

const apply = (text: string, { at, kind, length, text: piece }: Edit): string => {
  const index = Math.floor((at / 1000) * text.length);
  const before = text.slice(0, index);
  const after = text.slice(index);
  switch (kind) {
    case 'cut':
      return before;
    case 'drop':
      return before + after.slice(length);
    case 'insert':
      return before + piece + after;
    case 'repeat':
      return before + after.slice(0, length) + after;
    case 'replace':
      return before + piece + after.slice(piece.length);
  }
};

/** Texts like those that `original` makes, most of them changed in a few places. */
export const mutated = (original: fc.Arbitrary<string>, mostEdits = 3): fc.Arbitrary<string> =>
  fc.tuple(original, fc.array(edit(), { maxLength: mostEdits })).map(([text, edits]) => edits.reduce(apply, text));
