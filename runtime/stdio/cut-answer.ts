import type { RequestId } from './json-rpc.ts';

/** An answer as text, cut out around its id, so that another id can stand there without reading and writing the whole. */
export type CutAnswer = { id: number; under(id: RequestId): string };

const idFirst = /^\{"jsonrpc":"2\.0","id":(\d{1,15}),"result":/;
const idLast = /,"jsonrpc":"2\.0","id":(\d{1,15})\}$/;
/** Longer than what stands around the id in either form. */
const endLength = 64;

/** Whether a whole message can be told from its ends: it is an answer only if no `method` stands in it, however spelled, and one event line only without a CR. */
const hidesNothing = (line: string): boolean => !line.includes('"method"') && !line.includes('\\u00') && !line.includes('\r');

/**
 * Finds the id in the two spellings of a result that servers write; both can only match a member of the outermost object of valid JSON.
 * Whether the JSON is valid is left to whoever reads it in the end.
 * @returns undefined for any other spelling, errors and everything that is no answer
 */
export const cutAnswer = (line: string): CutAnswer | undefined => {
  const first = line.endsWith('}') ? idFirst.exec(line.slice(0, endLength)) : null;
  if (first?.[1] !== undefined) {
    const digits = first[1];
    if (!hidesNothing(line)) return undefined;
    const rest = line.slice('{"jsonrpc":"2.0","id":'.length + digits.length);
    return { id: Number(digits), under: (id) => `{"jsonrpc":"2.0","id":${JSON.stringify(id)}${rest}` };
  }
  const last = line.startsWith('{"result":') ? idLast.exec(line.slice(-endLength)) : null;
  if (last?.[1] === undefined || !hidesNothing(line)) return undefined;
  const rest = line.slice(0, -(last[1].length + 1));
  return { id: Number(last[1]), under: (id) => `${rest}${JSON.stringify(id)}}` };
};

/** Id of a message of which only the ends are known. Both patterns can only match a member of the outermost object. */
export const idFromEnds = ({ head, tail }: { head: string; tail: string }): number | undefined => {
  const digits = /"id":(\d+)\s*\}\s*$/.exec(tail)?.[1] ?? /^\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d+)\s*,/.exec(head)?.[1];
  return digits === undefined ? undefined : Number(digits);
};
