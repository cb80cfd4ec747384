import { Pool } from 'undici';
import type { HttpFlight, HttpReader, HttpRequest, HttpSender } from './http-sender.ts';
import { createPlainSender } from './plain-sender.ts';

/** At most so many requests are made of one server at a time; more wait in line, and their deadlines with them. */
export const mostConnections = 512;

/**
 * Sends HTTP requests to one origin, over connections of its own: a server that hangs takes none from another. Nothing is tried again, and
 * no redirect is followed.
 */
export const createHttpSender = (origin: string, { connectTimeoutMs }: { connectTimeoutMs: number }): HttpSender => {
  if (new URL(origin).protocol === 'http:') return createPlainSender(origin, { connectTimeoutMs, mostConnections });
  // deadlines are the callers' affair
  const options = { pipelining: 1, headersTimeout: 0, bodyTimeout: 0, allowH2: false, connect: { timeout: connectTimeoutMs } };
  const shared = new Pool(origin, { ...options, connections: mostConnections });
  let standing: Pool | undefined;

  const send = ({ method, path, headers, body = '', isStanding = false }: HttpRequest, reader: HttpReader): HttpFlight => {
    if (isStanding) standing ??= new Pool(origin, options);
    let controller: { abort(reason: Error): void; pause(): void; resume(): void } | undefined;
    let isOver = false;
    let isHandedOver = false;
    const fail = (error: Error): void => {
      // who sends gets its flight before it hears of it
      if (!isHandedOver) return void setImmediate(fail, error);
      if (isOver) return;
      isOver = true;
      reader.onError(error);
    };
    const abort = (): void => {
      if (isOver) return;
      isOver = true;
      controller?.abort(new Error('given up'));
    };
    (isStanding && standing ? standing : shared).dispatch(
      { method, path, headers, body: method === 'POST' ? body : null },
      {
        onRequestStart: (given) => {
          controller = given;
          if (isOver) return given.abort(new Error('given up'));
          reader.onSent();
        },
        onResponseStart: (_controller, status, answerHeaders) => {
          if (!isOver && status >= 200) reader.onStart(status, answerHeaders);
        },
        onResponseData: (_controller, chunk) => {
          if (!isOver) reader.onData(chunk);
        },
        onResponseEnd: () => {
          if (isOver) return;
          isOver = true;
          reader.onEnd();
        },
        onResponseError: (_controller, error) => fail(error),
      },
    );
    isHandedOver = true;
    return {
      pause: () => controller?.pause(),
      resume: () => controller?.resume(),
      abort,
    };
  };

  return {
    heardAt: Number.NEGATIVE_INFINITY,
    send,
    close: async () => {
      await Promise.all([shared.destroy(), standing?.destroy()]);
    },
  };
};
