import { randomFillSync } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isObject, type JsonObject } from './message.ts';

/** The trace that a request belongs to, and how it is told to whoever is asked on its behalf. */
export type Trace = {
  /** 32 hexadecimal digits. */
  traceId: string;
  /** For the next hop: the same trace, with this hop as the parent. */
  traceparent: string;
  tracestate?: string;
  /** Span of whoever asked, 16 hexadecimal digits; absent where the trace begins here. */
  parentSpanId?: string;
};

const idBytes = 24;
const pool = Buffer.alloc(idBytes * 200);
let used = pool.length;

/** Random digits for a trace and a span; drawn for many at once. */
const randomDigits = (): string => {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += idBytes;
  return pool.toString('hex', used - idBytes, used);
};

/** A later version may be longer; what is read of it stands at the same places. */
const traceparentForm = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-|$)/;
const longestState = 512;

const begun = (given: unknown, state: unknown): Trace | undefined => {
  const [, traceId, parentSpanId, flags] = (typeof given === 'string' && given.length <= longestState && traceparentForm.exec(given)) || [];
  if (traceId === undefined || parentSpanId === undefined) return undefined;
  const trace: Trace = { traceId, traceparent: `00-${traceId}-${randomDigits().slice(32)}-${flags}`, parentSpanId };
  if (typeof state === 'string' && state.length <= longestState && /^[\x20-\x7e]+$/.test(state)) trace.tracestate = state;
  return trace;
};

/**
 * Goes on with the trace that a caller has begun, or begins one: each request has one, from the person to the backend.
 * @param meta - `_meta` of the message, which says more than the headers of its hop
 * @see https://www.w3.org/TR/trace-context/
 */
export const readTrace = (headers: IncomingHttpHeaders, meta?: unknown): Trace => {
  const told = isObject(meta) ? begun(meta.traceparent, meta.tracestate) : undefined;
  const found = told ?? (headers.traceparent === undefined ? undefined : begun(headers.traceparent, headers.tracestate));
  if (found) return found;
  const digits = randomDigits();
  const traceId = digits.slice(0, 32);
  return { traceId, traceparent: `00-${traceId}-${digits.slice(32)}-01` };
};

/** The trace of a request, read once. */
export const traceOf = (request: { params: JsonObject; trace?: Trace; traceHeaders?: IncomingHttpHeaders }): Trace => {
  request.trace ??= readTrace(request.traceHeaders ?? {}, request.params._meta);
  return request.trace;
};

/** This hop's own span, 16 hexadecimal digits. */
export const spanIdOf = ({ traceparent }: Trace): string => traceparent.slice(36, 52);

/** Whether whoever began the trace wants it to be kept. @see https://www.w3.org/TR/trace-context/#sampled-flag */
export const isSampled = ({ traceparent }: Trace): boolean => (Number.parseInt(traceparent.slice(53), 16) & 1) === 1;

/** What a server is told of the trace, in `_meta`. */
export const traceMeta = ({ traceparent, tracestate }: Trace): JsonObject =>
  tracestate === undefined ? { traceparent } : { traceparent, tracestate };

/** The same as headers, names and values in turn. */
export const traceHeaders = (meta: JsonObject | undefined): string[] => {
  const { traceparent, tracestate } = meta ?? {};
  if (typeof traceparent !== 'string') return [];
  return typeof tracestate === 'string' ? ['traceparent', traceparent, 'tracestate', tracestate] : ['traceparent', traceparent];
};
