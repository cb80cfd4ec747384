import { isObject, type RpcError, rpcCodes } from '../mcp/message.ts';
import { replyOf } from './flight.ts';
import { UpstreamLost } from './upstream-lost.ts';

/** What an answer with an error status says, and whether it names our request. */
export type Refusal = { status: number; error: RpcError | undefined; isOurs: boolean; location: string | undefined };

const modernCodes: readonly number[] = [rpcCodes.headerMismatch, rpcCodes.missingClientCapability, rpcCodes.unsupportedVersion];

/** Statuses by which a request is sent back unread; of any other an effect cannot be ruled out. */
const unread: ReadonlySet<number> = new Set([401, 403, 404, 405, 406, 413, 415, 429]);

export const readRefusal = ({
  status,
  headers,
  body,
  id,
}: {
  status: number;
  headers: { location?: string | undefined };
  body: string;
  id: number | undefined;
}): Refusal => {
  let message: unknown;
  try {
    message = JSON.parse(body);
  } catch {
    // a proxy's page, or nothing
  }
  const reply = isObject(message) ? replyOf(message) : undefined;
  return {
    status,
    error: reply?.kind === 'error' ? reply.error : undefined,
    isOurs: isObject(message) && id !== undefined && message.id === id,
    location: headers.location,
  };
};

/** An error that only a server of the modern era knows. */
export const isModernError = ({ error }: Pick<Refusal, 'error'>): boolean => error !== undefined && modernCodes.includes(error.code);

/** The server said that it did not take the request up: by the status, or by an error that could not name its id. */
export const isUnread = ({ status, error, isOurs }: Refusal): boolean =>
  unread.has(status) || (status === 400 && !isOurs && error !== undefined);

export const describeRefusal = ({ status, error, location }: Refusal): string => {
  if (status >= 300 && status < 400) return `answers with a redirect${location ? ` to ${location}` : ''}, which is not followed`;
  if (status === 401 || status === 403) return `asks for a credential (HTTP ${status})`;
  return `answers HTTP ${status}${error ? `: ${error.message.slice(0, 300)}` : ''}`;
};

/** A request that was refused by an HTTP status. */
export class RefusedByStatus extends Error {
  readonly status: number;
  constructor(refusal: Refusal) {
    super(describeRefusal(refusal));
    this.status = refusal.status;
  }
}

export const lostByRefusal = (refusal: Refusal): UpstreamLost =>
  new UpstreamLost(!isUnread(refusal), new RefusedByStatus(refusal), 'refused');
