import type { HttpAnswer } from '../front/http-exchange.ts';
import { writeTogether } from '../front/write-together.ts';
import { type RequestId, type RpcError, rpcCodes } from '../mcp/message.ts';
import { PacedWriter } from './paced-writer.ts';

/** A small answer leaves in one write; a larger one at its reader's pace. */
const smallLength = 65_536;

/** Answers with a JSON text. */
export const answerJsonText = (
  response: HttpAnswer,
  status: number,
  text: string,
  { headers, stallMs }: { headers?: Record<string, string>; stallMs?: number | undefined } = {},
): void => {
  const bytes = Buffer.byteLength(text);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes, ...headers });
  // where each character is a byte, nothing has to be encoded
  if (text.length <= smallLength) writeTogether(() => response.end(text, bytes === text.length ? 'latin1' : 'utf8'));
  else new PacedWriter(response, stallMs === undefined ? {} : { stallMs }).end(text);
};

/** A JSON-RPC error as text; `id` is null where the request's cannot be read. */
export const errorText = (id: RequestId | null, error: RpcError): string => JSON.stringify({ jsonrpc: '2.0', id, error });

/** Statuses that the transport of modern clients prescribes; all other errors are answers like results, with 200. */
const statuses: ReadonlyMap<number, number> = new Map([
  [rpcCodes.methodNotFound, 404],
  [rpcCodes.headerMismatch, 400],
  // kills the whole connection of go-sdk clients (go-sdk#1117), and yet it is what the specification asks for
  [rpcCodes.missingClientCapability, 400],
  [rpcCodes.unsupportedVersion, 400],
]);

export const statusOfError = (error: RpcError): number => statuses.get(error.code) ?? 200;

/** Refuses what came before it reached a method. */
export const refuse = (
  response: HttpAnswer,
  status: number,
  id: RequestId | null,
  error: RpcError,
  headers: Record<string, string> = {},
): void => answerJsonText(response, status, errorText(id, error), { headers });
