import { AsyncLocalStorage } from 'node:async_hooks';
import type { FetchLike } from '@modelcontextprotocol/client';
import { instanceHeader, type Loss, lostHeader } from '../../schema/host-headers.ts';

/** The longest result that is handed to a caller. */
export const maxResultBytes = 16 * 1024 * 1024;
/** The longest answer that is read: a result, with what stands around it and how it may be spelled. */
const maxAnswerBytes = maxResultBytes + 1024 * 1024;

/** A call that ended without an answer. `wasSent: false` is only said when it is certain. */
export class UpstreamLost extends Error {
  readonly wasSent: boolean;
  constructor(wasSent: boolean, cause?: unknown) {
    super('the server gave no answer', { cause });
    this.wasSent = wasSent;
  }
}

/** The server did what it was asked, and answers with more than is read of an answer. */
export class ResultTooLarge extends Error {
  constructor() {
    super(`the answer is over ${maxAnswerBytes} bytes`);
  }
}

/** One question to a server, with all HTTP requests that it takes. `hasAnswer` once a response has begun. */
export type Exchange = {
  signal: AbortSignal;
  hasAnswer: boolean;
  /** Which process of our host answered first. */
  instance?: string;
};
type OpenExchange = Exchange & { isOver: boolean; bytesLeft: number; fault?: Error; fail(fault: Error): void };

export type Exchanges = ReturnType<typeof createExchanges>;

const openExchange = (): OpenExchange => {
  const stop = new AbortController();
  const exchange: OpenExchange = {
    signal: stop.signal,
    hasAnswer: false,
    isOver: false,
    bytesLeft: maxAnswerBytes,
    fail: (fault) => {
      if (exchange.isOver) return;
      exchange.fault ??= fault;
      stop.abort(fault);
    },
  };
  return exchange;
};

const lossAtHost = (response: Response): Error | undefined => {
  const loss = response.headers.get(lostHeader) as Loss | null;
  // the host knows no such instance, e.g. since it was itself started anew
  if (loss === null) return response.status === 404 ? new UpstreamLost(false) : undefined;
  if (loss === 'result-too-large') return new ResultTooLarge();
  return new UpstreamLost(loss !== 'not-sent' && loss !== 'other-instance');
};

/** The same response, whose body ends in an error once all answers of the exchange together are too long; no more of it is read then. */
const counted = (response: Response, exchange: OpenExchange): Response => {
  if (response.body === null) return response;
  const count = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform: (chunk, controller) => {
      exchange.bytesLeft -= chunk.byteLength;
      if (exchange.bytesLeft >= 0) return controller.enqueue(chunk);
      const fault = response.ok ? new ResultTooLarge() : new UpstreamLost(true);
      exchange.fail(fault);
      controller.error(fault);
    },
  });
  const { status, statusText, headers } = response;
  return new Response(response.body.pipeThrough(count), { status, statusText, headers });
};

/**
 * Reads what stands beside and around the answers of one server, before the MCP client sees them: what our host says of a request that got
 * no answer, and how long an answer becomes. A foreign server is not believed when it speaks as our host.
 */
export const createExchanges = ({ isOurHost }: { isOurHost: boolean }) => {
  const current = new AsyncLocalStorage<OpenExchange>();

  const observedFetch: FetchLike = async (url, init) => {
    // a stream that stands open belongs to no question; one that is taken up again belongs to the question that it answers
    const isStanding = init?.method === 'GET' && !new Headers(init.headers).has('last-event-id');
    const known = isStanding ? undefined : current.getStore();
    const exchange = known && !known.isOver ? known : openExchange();
    const response = await fetch(url, init);
    exchange.hasAnswer = true;
    if (isOurHost) {
      exchange.instance ??= response.headers.get(instanceHeader) ?? undefined;
      const loss = isStanding ? undefined : lossAtHost(response);
      if (loss) {
        await response.body?.cancel();
        exchange.fail(loss);
        throw loss;
      }
    }
    return counted(response, exchange);
  };

  return {
    fetch: observedFetch,
    /** Runs one question. @throws {UpstreamLost | ResultTooLarge} when that is why it ended, else whatever `ask` throws */
    run: async <T>(ask: (exchange: Exchange) => Promise<T>): Promise<T> => {
      const exchange = openExchange();
      try {
        return await current.run(exchange, () => ask(exchange));
      } catch (error) {
        throw exchange.fault ?? error;
      } finally {
        exchange.isOver = true;
      }
    },
  };
};
