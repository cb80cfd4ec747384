import type { IncomingMessage } from 'node:http';
import type { HttpRequest, ShortRequest } from '../front/http-exchange.ts';

export type BodyReading = { kind: 'body'; bytes: Buffer } | { kind: 'too-large' } | { kind: 'gone' };

export const mostBodyBytes = 4 * 1024 * 1024;
/** Of a refused body so much is read and thrown away, so that its sender comes to see the answer. */
const mostDiscardedBytes = 16 * 1024 * 1024;

const announcedBytes = ({ headers }: HttpRequest): number => Number(headers['content-length'] ?? 0);

/** Whether more of a refused body is still to come than is worth waiting for: its connection is closed then. */
export const leavesTooMuch = (request: HttpRequest): boolean => announcedBytes(request) > mostDiscardedBytes;

const discard = (request: IncomingMessage): void => {
  let discarded = 0;
  request
    .on('error', () => undefined)
    .on('data', (chunk: Buffer) => {
      discarded += chunk.length;
      if (discarded > mostDiscardedBytes) request.destroy();
    });
};

const receive = (request: IncomingMessage): Promise<BodyReading> =>
  new Promise((resolve) => {
    if (announcedBytes(request) > mostBodyBytes) {
      if (!leavesTooMuch(request)) discard(request);
      return resolve({ kind: 'too-large' });
    }
    let first: Buffer | undefined;
    let more: Buffer[] | undefined;
    let size = 0;
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > mostBodyBytes) {
        settle({ kind: 'too-large' });
        discard(request);
      } else if (first === undefined) first = chunk;
      else {
        more ??= [first];
        more.push(chunk);
      }
    };
    const onEnd = (): void => settle({ kind: 'body', bytes: more ? Buffer.concat(more, size) : (first ?? nothing) });
    const onGone = (): void => settle({ kind: 'gone' });
    const settle = (reading: BodyReading): void => {
      // the other listeners stay where they are: a promise is settled once, and an error after the last byte has nobody to tell
      request.off('data', onData);
      resolve(reading);
    };
    request.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone);
    if (request.destroyed) onGone();
  });

const nothing = Buffer.alloc(0);

/** A stream keeps its request for as long as it stands, and would keep the body with it. */
const takeBody = (request: ShortRequest): BodyReading => {
  const bytes = request.body;
  request.body = nothing;
  return { kind: 'body', bytes };
};

/**
 * Reads a whole body of at most 4 MiB; at once where the request brought it along. A larger one is given up as soon as that is known; what
 * is left of it is thrown away while the caller answers, so that the connection can be used again. `gone`: the client left before the end.
 */
export const readBody = (request: HttpRequest): BodyReading | Promise<BodyReading> =>
  'body' in request ? takeBody(request) : receive(request);
