import { type Document, isMap, isPair, isScalar, isSeq, type LineCounter, type Node, type Pair } from 'yaml';

type Keys = (string | number)[];

const offsetOf = (node: unknown): number | undefined => (node as Node | undefined)?.range?.[0];

/** The offset of what stands at a path: the value where it is a plain one, else its key, else the nearest thing around it. */
const offsetAt = (document: Document, keys: Keys, wantsKey: boolean): number => {
  let node: unknown = document.contents;
  let found = offsetOf(node) ?? 0;
  for (const key of keys) {
    let pair: Pair | undefined;
    if (isMap(node)) {
      pair = node.items.filter(isPair).find((each) => isScalar(each.key) && String(each.key.value) === String(key));
      if (!pair) return found;
      found = offsetOf(pair.key) ?? found;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(key)];
      if (node === undefined) return found;
      found = offsetOf(node) ?? found;
    } else return found;
  }
  return !wantsKey && isScalar(node) ? (offsetOf(node) ?? found) : found;
};

/**
 * Finds where a field stands in a file.
 * @param keys - from the root of the document; what is missing is shown at the thing it is missing in
 * @param wantsKey - for a field that should not be there at all
 * @returns line and column, both from 1
 */
export const locate = (document: Document, lines: LineCounter, keys: Keys, wantsKey = false): { line: number; column: number } => {
  const { line, col } = lines.linePos(offsetAt(document, keys, wantsKey));
  return { line: Math.max(1, line), column: Math.max(1, col) };
};
