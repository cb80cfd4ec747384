import { isExactNumber, textOfExactNumber } from '../../schema/exact-json.ts';
import { type RpcError, rpcCodes } from '../mcp/message.ts';
import { argumentAt, type ParameterHeader } from '../surface/parameter-headers.ts';
import { decodeHeaderValue } from './decode-header-value.ts';

const decimal = /^-?\d+(\.\d+)?$/;
/** What is longer may be another number, and be read as the same. */
const sureLength = 15;

const isSpelled = (text: string, value: number): boolean =>
  text === String(value) || (text.length <= sureLength && decimal.test(text) && Number(text) === value);

/** Integers are compared as numbers: `42.0` is 42. */
const saysTheSame = (text: string, value: unknown): boolean => {
  if (isExactNumber(value)) return text === textOfExactNumber(value);
  return typeof value === 'number' ? isSpelled(text, value) : ['string', 'boolean'].includes(typeof value) && text === String(value);
};

/**
 * Compares the headers `Mcp-Param-*` of a modern client's `tools/call` with the arguments, where the tool's schema names them
 * (`x-mcp-header`): something on the way may have decided by the header, so what it says must be what is done. A header without a
 * value in the arguments is refused like a value without its header. Headers that the schema does not name are nobody's concern.
 * @param expected - by the tool's schema, as the client was shown it
 * @param headers - names in lower case, as `ClientRequest.parameterHeaders` has them
 * @returns the error to answer with (HTTP 400), or undefined where they agree
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#server-behavior-for-custom-headers
 */
export const checkParameterHeaders = (
  expected: readonly ParameterHeader[],
  argumentsOfCall: unknown,
  headers: Readonly<Record<string, string>>,
): RpcError | undefined => {
  for (const { header, path } of expected) {
    const value = argumentAt(argumentsOfCall, path);
    const sent = Object.hasOwn(headers, header) ? headers[header] : undefined;
    const isGiven = value !== undefined && value !== null;
    if (!isGiven && sent === undefined) continue;
    const mismatch = (what: string): RpcError => ({
      code: rpcCodes.headerMismatch,
      message: `Header mismatch: ${what}. Look at tools/list again and send the header that the tool's schema names.`,
      data: { header, argument: path.join('.') },
    });
    if (sent === undefined) return mismatch(`the argument ${path.join('.')} has a value, and the header ${header} is missing`);
    const text = decodeHeaderValue(sent);
    if (text === undefined) return mismatch(`the header ${header} is not written as such a header has to be`);
    if (!isGiven || !saysTheSame(text, value))
      return mismatch(`the header ${header} does not say what the argument ${path.join('.')} says`);
  }
  return undefined;
};
