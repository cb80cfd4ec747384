import type { KubeConfig } from '@kubernetes/client-node';
import { type Dispatcher, request } from 'undici';

/** An object of Kubernetes as it comes over the wire: looked at field by field. */
// biome-ignore lint/suspicious/noExplicitAny: each kind has a shape of its own, and versions of them
export type KubernetesObject = any;

export type KubernetesRequest = {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  query?: Record<string, string>;
  contentType?: string;
  body?: unknown;
  signal: AbortSignal;
  deadlineMs?: number;
};

const mostAnswerBytes = 64 * 1024 * 1024;
const requestDeadlineMs = 15_000;
/** Requests of one cluster at the same time: a thousand targets that wake up together still come one after another. */
const mostAtOnce = 8;

/**
 * What became of a request that did not do what it asked for. `status` 0: no answer came, so it may have had an effect. `retryAfterMs` is
 * what the server asked for.
 */
export class KubernetesFailure extends Error {
  readonly status: number;
  readonly reason: string;
  readonly retryAfterMs: number;
  constructor(status: number, reason: string, message: string, retryAfterMs = 0) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
  get mayHaveHappened(): boolean {
    return this.status === 0 || this.status >= 500;
  }
}

const createGate = (most: number) => {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (running >= most) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift(); // whoever waits longest takes the place over
      if (next) next();
      else running -= 1;
    }
  };
};

/** Reads a body up to a size, so that a server that lies cannot fill our memory. */
const readBounded = async (body: AsyncIterable<Buffer>): Promise<string> => {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of body) {
    bytes += part.length;
    if (bytes > mostAnswerBytes)
      throw new KubernetesFailure(0, 'TooLarge', `the API server's answer is larger than ${mostAnswerBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
};

const parseAnswer = (text: string): KubernetesObject => {
  try {
    return JSON.parse(text);
  } catch {
    throw new KubernetesFailure(0, 'NotJson', 'what answers is no API server of Kubernetes: its answer is not JSON');
  }
};

const failureOf = (status: number, retryAfter: string | string[] | undefined, text: string): KubernetesFailure => {
  let said: { reason?: unknown; message?: unknown } = {};
  try {
    said = JSON.parse(text);
  } catch {
    // a proxy in between, which does not speak Kubernetes
  }
  const seconds = Number(Array.isArray(retryAfter) ? retryAfter[0] : retryAfter);
  return new KubernetesFailure(
    status,
    String(said?.reason ?? ''),
    String(said?.message ?? `the API server answered ${status}`).slice(0, 2000),
    Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 300) * 1000 : 0,
  );
};

/**
 * Requests to one cluster, each with a deadline and an abort signal. Certificates, tokens and their renewal are the client library's;
 * bodies are sent and read here, because server-side apply and preconditions are said in them.
 */
export const createKubernetesClient = (config: KubeConfig) => {
  const server = config.getCurrentCluster()?.server.replace(/\/$/, '') ?? '';
  const inTurn = createGate(mostAtOnce);
  let dispatcher: Dispatcher | undefined;

  /** Credentials anew for each request (a token in a file is renewed), and the connections of the first. */
  const authorise = async (url: string) => {
    const { HttpMethod, RequestContext } = await import('@kubernetes/client-node'); // large: loaded with the first request
    const context = new RequestContext(url, HttpMethod.GET);
    await config.applySecurityAuthentication(context);
    dispatcher ??= context.getDispatcher() as Dispatcher | undefined;
    return context.getHeaders();
  };

  const open = async ({ method = 'GET', path, query = {}, contentType = 'application/json', body, signal }: KubernetesRequest) => {
    const search = new URLSearchParams(query).toString();
    const url = `${server}${path}${search ? `?${search}` : ''}`;
    const headers = await authorise(url);
    return request(url, {
      method,
      headers: {
        ...headers,
        accept: 'application/json',
        'user-agent': 'quarterdeck',
        ...(body === undefined ? {} : { 'content-type': contentType }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(dispatcher ? { dispatcher } : {}),
      signal,
    });
  };

  const send = async (asked: KubernetesRequest): Promise<KubernetesObject> => {
    asked.signal.throwIfAborted();
    const deadline = AbortSignal.timeout(asked.deadlineMs ?? requestDeadlineMs);
    const signal = AbortSignal.any([asked.signal, deadline]);
    try {
      const answer = await open({ ...asked, signal });
      const text = await readBounded(answer.body);
      if (answer.statusCode >= 300) throw failureOf(answer.statusCode, answer.headers['retry-after'], text);
      return parseAnswer(text);
    } catch (error) {
      asked.signal.throwIfAborted();
      if (error instanceof KubernetesFailure) throw error;
      const what = deadline.aborted ? `no answer within ${asked.deadlineMs ?? requestDeadlineMs} ms` : (error as Error).message;
      throw new KubernetesFailure(0, 'Unreachable', `the API server does not answer: ${what}`);
    }
  };

  return {
    send: (asked: KubernetesRequest) => inTurn(() => send(asked)),
    /** Lines of a stream that stays open until the server, the deadline or the signal ends it; only the opening counts against the limit. */
    openStream: async (asked: KubernetesRequest) => {
      const answer = await open(asked);
      if (answer.statusCode < 300) return answer.body;
      throw failureOf(answer.statusCode, answer.headers['retry-after'], await readBounded(answer.body));
    },
    close: async (): Promise<void> => void (await dispatcher?.destroy()),
  };
};
export type KubernetesClient = ReturnType<typeof createKubernetesClient>;
