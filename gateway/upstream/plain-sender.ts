import { type Exchange, HttpConnection } from './http-connection.ts';
import type { HttpFlight, HttpReader, HttpRequest, HttpSender } from './http-sender.ts';

/** What could end a header's line, or be read in several ways. */
const unsafeValue = /[^\t\x20-\x7e\x80-\xff]/;
const unsafePath = /[^\x21-\x7e]/;
const headerName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const sweepMs = 1000;

/** Everything before the body. @throws {TypeError} for what must not stand in a head */
const headOf = ({ method, path, headers }: HttpRequest, host: string, bodyBytes: number): string => {
  if (unsafePath.test(path)) throw new TypeError('a path that cannot be sent');
  let head = `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\n`;
  for (let index = 0; index < headers.length; index += 2) {
    const [name = '', value = ''] = [headers[index], headers[index + 1]];
    if (!headerName.test(name) || unsafeValue.test(value)) throw new TypeError('a header that cannot be sent');
    head += `${name}: ${value}\r\n`;
  }
  return method === 'POST' ? `${head}content-length: ${bodyBytes}\r\n\r\n` : `${head}\r\n`;
};

const closing = (): Error => Object.assign(new Error('connections to the server are being closed'), { code: 'ECONNABORTED' });

const nobody: HttpReader = {
  onSent: () => undefined,
  onStart: () => undefined,
  onData: () => undefined,
  onEnd: () => undefined,
  onError: () => undefined,
};

/** A request on its way: waiting in line, or on a connection. */
class PlainFlight implements HttpFlight, Exchange {
  readonly head: string;
  body: string;
  readonly bodyBytes: number;
  reader: HttpReader;
  readonly isStanding: boolean;
  isOver = false;
  connection: HttpConnection<PlainFlight> | undefined;

  constructor(request: HttpRequest, host: string, reader: HttpReader) {
    this.body = request.body ?? '';
    this.bodyBytes = Buffer.byteLength(this.body);
    this.head = headOf(request, host, this.bodyBytes);
    this.reader = reader;
    this.isStanding = request.isStanding ?? false;
  }

  pause(): void {
    if (!this.isOver) this.connection?.pause();
  }

  resume(): void {
    if (!this.isOver) this.connection?.resume();
  }

  abort(): void {
    if (this.isOver) return;
    this.isOver = true;
    // in the line it stays until its turn, which may be long: neither its body nor what its reader holds
    this.body = '';
    this.reader = nobody;
    this.connection?.destroy();
  }

  fail(error: Error): void {
    if (this.isOver) return;
    this.isOver = true;
    this.reader.onError(error);
  }
}

/**
 * Sends requests to one origin without TLS. Standing requests get a connection each, beside those that the others share.
 * @param options.mostConnections - that are shared; more requests wait in line
 */
export const createPlainSender = (
  origin: string,
  { connectTimeoutMs, mostConnections }: { connectTimeoutMs: number; mostConnections: number },
): HttpSender => {
  const { hostname, host, port } = new URL(origin);
  const target = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 80), connectTimeoutMs };
  /** Used last, last: those that are needed stay busy, and the others grow old. */
  let idle: HttpConnection<PlainFlight>[] = [];
  const open = new Set<HttpConnection<PlainFlight>>();
  const waiting: PlainFlight[] = [];
  let shared = 0;
  let isClosed = false;
  let sweeper: NodeJS.Timeout | undefined;

  const sweep = (): void => {
    const now = performance.now();
    const old = idle.filter((connection) => !connection.isUsable(now));
    idle = idle.filter((connection) => connection.isUsable(now));
    for (const connection of old) connection.destroy();
    if (idle.length > 0) return;
    clearInterval(sweeper);
    sweeper = undefined;
  };

  const nextWaiting = (): PlainFlight | undefined => {
    for (let flight = waiting.shift(); flight; flight = waiting.shift()) if (!flight.isOver) return flight;
    return undefined;
  };

  const takeIdle = (): HttpConnection<PlainFlight> | undefined => {
    const now = performance.now();
    for (let connection = idle.pop(); connection; connection = idle.pop()) {
      if (connection.isUsable(now)) return connection;
      connection.destroy();
    }
    return undefined;
  };

  const dispatch = (flight: PlainFlight): void => {
    const known = flight.isStanding ? undefined : takeIdle();
    if (known) {
      flight.connection = known;
      known.start(flight);
    } else if (flight.isStanding || shared < mostConnections) connect(flight);
    else waiting.push(flight);
  };

  const connect = (flight: PlainFlight): void => {
    const { isStanding } = flight;
    if (!isStanding) shared += 1;
    const connection = new HttpConnection(target, flight, {
      onIdle: (freed) => {
        if (isStanding) return freed.destroy();
        const next = nextWaiting();
        if (next) {
          next.connection = freed;
          freed.start(next);
          return;
        }
        idle.push(freed);
        sweeper ??= setInterval(sweep, sweepMs).unref();
      },
      onGone: (gone, unsent) => {
        open.delete(gone);
        const at = idle.indexOf(gone);
        if (at !== -1) idle.splice(at, 1);
        if (isStanding) return;
        shared -= 1;
        if (isClosed) unsent?.fail(closing());
        else if (unsent && !unsent.isOver) waiting.unshift(unsent);
        const next = isClosed ? undefined : nextWaiting();
        if (next) dispatch(next);
      },
    });
    flight.connection = connection;
    open.add(connection);
  };

  /** A request that never leaves; whoever sent it has its flight before it hears of that. */
  const refuse = (reader: HttpReader, error: Error): HttpFlight => {
    const immediate = setImmediate(() => reader.onError(error));
    return { pause: () => undefined, resume: () => undefined, abort: () => clearImmediate(immediate) };
  };

  return {
    heardAt: Number.NEGATIVE_INFINITY,
    send: (request, reader) => {
      if (isClosed) return refuse(reader, closing());
      try {
        const flight = new PlainFlight(request, host, reader);
        dispatch(flight);
        return flight;
      } catch (error) {
        return refuse(reader, error as Error);
      }
    },
    close: async () => {
      isClosed = true;
      clearInterval(sweeper);
      for (const flight of waiting.splice(0)) flight.fail(closing());
      for (const connection of open) connection.destroy(closing());
    },
  };
};
