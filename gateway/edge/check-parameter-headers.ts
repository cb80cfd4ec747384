import { isObject, type RpcError, rpcCodes } from '../mcp/message.ts';
import { type ParameterHeader, parameterHeadersOf } from '../surface/parameter-headers.ts';
import { decodeHeaderValue } from './decode-header-value.ts';

const none: readonly ParameterHeader[] = [];
/** Schemas of pinned definitions stay the same objects, so each is looked through once. */
const read = new WeakMap<object, readonly ParameterHeader[]>();
const decimal = /^-?\d+(\.\d+)?$/;

const headersOf = (inputSchema: unknown): readonly ParameterHeader[] => {
  if (!isObject(inputSchema)) return none;
  const known = read.get(inputSchema);
  if (known) return known;
  const found = parameterHeadersOf(inputSchema);
  const headers = found.ok ? found.headers : none;
  read.set(inputSchema, headers);
  return headers;
};

const valueAt = (root: unknown, path: readonly string[]): unknown => {
  let value = root;
  for (const key of path) {
    if (!isObject(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
};

/** Integers are compared as numbers: `42.0` is 42. */
const saysTheSame = (text: string, value: unknown): boolean =>
  typeof value === 'number'
    ? decimal.test(text) && Number(text) === value
    : ['string', 'boolean'].includes(typeof value) && text === String(value);

/**
 * Compares the headers `Mcp-Param-*` of a modern client's `tools/call` with the arguments, where the tool's schema names them
 * (`x-mcp-header`): something on the way may have decided by the header, so what it says must be what is done. A header without a
 * value in the arguments is refused like a value without its header. Headers that the schema does not name are nobody's concern.
 * @param inputSchema - the tool's, as pinned and as the client was shown it
 * @param headers - names in lower case, as `ClientRequest.parameterHeaders` has them
 * @returns the error to answer with (HTTP 400), or undefined where they agree
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#server-behavior-for-custom-headers
 */
export const checkParameterHeaders = (
  inputSchema: unknown,
  argumentsOfCall: unknown,
  headers: Readonly<Record<string, string>>,
): RpcError | undefined => {
  for (const { header, path } of headersOf(inputSchema)) {
    const value = valueAt(argumentsOfCall, path);
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
