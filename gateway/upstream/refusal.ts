import { isObject, type RpcError, rpcCodes } from '../mcp/message.ts';
import { replyOf } from './flight.ts';
import { UpstreamLost } from './upstream-lost.ts';

/** What an answer with an error status says, and whether it names our request. */
export type Refusal = {
  status: number;
  error: RpcError | undefined;
  isOurs: boolean;
  location: string | undefined;
  /** When to come again, as seconds; where it says so in that form. */
  retryAfterSeconds: number | undefined;
};

const modernCodes: readonly number[] = [rpcCodes.headerMismatch, rpcCodes.missingClientCapability, rpcCodes.unsupportedVersion];

/** Statuses that mean that a request is sent back unread, where nobody between says them after the server has acted. */
const sentBack: ReadonlySet<number> = new Set([401, 403, 404, 405, 406, 413, 415, 429]);

export const readRefusal = ({
  status,
  headers,
  body,
  id,
}: {
  status: number;
  headers: { location?: string | undefined; 'retry-after'?: string | undefined };
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
    retryAfterSeconds: /^\d{1,5}$/.test(headers['retry-after'] ?? '') ? Number(headers['retry-after']) : undefined,
  };
};

/** An error that only a server of the modern era knows. */
export const isModernError = ({ error }: Pick<Refusal, 'error'>): boolean => error !== undefined && modernCodes.includes(error.code);

/** The server itself said that it could not read the request: by an error that does not name its id. A bare status says less: see `isSentBack`. */
export const isUnread = ({ status, error, isOurs }: Refusal): boolean => status === 400 && !isOurs && error !== undefined;

export const describeRefusal = ({ status, error, location }: Refusal): string => {
  if (status >= 300 && status < 400) return `answers with a redirect${location ? ` to ${location}` : ''}, which is not followed`;
  if (status === 401 || status === 403) return `asks for a credential (HTTP ${status})`;
  return `answers HTTP ${status}${error ? `: ${error.message.slice(0, 300)}` : ''}`;
};

/** A request that was refused by an HTTP status. */
export class RefusedByStatus extends Error {
  readonly status: number;
  readonly retryAfterSeconds: number | undefined;
  constructor(refusal: Refusal) {
    super(describeRefusal(refusal));
    this.status = refusal.status;
    this.retryAfterSeconds = refusal.retryAfterSeconds;
  }

  /** It is asked too often: to ask again at once makes it worse. */
  get isThrottled(): boolean {
    return this.status === 429;
  }

  /** Probably unread. A proxy may say so of a request that the server has acted on, so this is enough only where twice does no harm. */
  get isSentBack(): boolean {
    return sentBack.has(this.status);
  }
}

/** The refusal by which something failed, however it was wrapped since. */
export const refusalIn = (error: unknown): RefusedByStatus | undefined => {
  for (let link = error; link instanceof Error; link = link.cause) if (link instanceof RefusedByStatus) return link;
  return undefined;
};

/** @param isUntouched - whether the refusal says for certain that the request had no effect */
export const lostByRefusal = (refusal: Refusal, isUntouched = isUnread(refusal)): UpstreamLost =>
  new UpstreamLost(!isUntouched, new RefusedByStatus(refusal), 'refused');
