import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Agent, request } from 'undici';
import { answerParent } from './answer-parent.ts';
import { type RawAnswer, RawConnection } from './raw-connection.ts';
import { quantile } from './statistics.ts';

/** Where requests go: each connection takes one route, and sends its requests in turn. */
export type Route = { port: number; requests: string[] };
export type LoadPlan = { routes: Route[]; connections: number; seconds: number; expectedBytes: number };
export type LoadResult = { calls: number; callsPerSecond: number; p50Ms: number; p99Ms: number; errors: number; firstError?: string };

const isGood = ({ status, bodyBytes, bodyStart }: RawAnswer, expectedBytes: number): boolean =>
  status === 200 && bodyBytes >= expectedBytes && bodyStart.includes('"result":') && !bodyStart.includes('"isError":true');

/** A closed loop: as many calls under way as there are connections, for so many seconds. */
const run = async ({ routes, connections, seconds, expectedBytes }: LoadPlan): Promise<LoadResult> => {
  const durations: number[] = [];
  let errors = 0;
  let firstError: string | undefined;
  const fail = (what: string): void => {
    errors += 1;
    firstError ??= what;
  };
  const prepared = routes.map(({ port, requests }) => ({ port, requests: requests.map((text) => Buffer.from(text)) }));
  let isOver = false;
  const open = await Promise.all(
    Array.from({ length: connections }, async (_, index) => {
      const route = prepared[index % prepared.length] as (typeof prepared)[number];
      let lose: () => void = () => undefined;
      const connection = await RawConnection.open(route.port, (error) => {
        if (!isOver) fail(error.message);
        lose();
      });
      const loop = (): Promise<void> =>
        new Promise((resolve) => {
          lose = resolve;
          let turn = index;
          let sentAt = 0;
          const onAnswer = (answer: RawAnswer): void => {
            durations.push(performance.now() - sentAt);
            if (!isGood(answer, expectedBytes)) fail(`${answer.status} ${answer.bodyStart.slice(0, 300)}`);
            if (isOver) resolve();
            else next();
          };
          const next = (): void => {
            turn += 1;
            sentAt = performance.now();
            connection.send(route.requests[turn % route.requests.length] as Buffer, onAnswer);
          };
          next();
        });
      return { connection, loop, giveUp: () => lose() };
    }),
  );
  const startedAt = performance.now();
  const timer = setTimeout(() => {
    isOver = true;
  }, seconds * 1000);
  // a target that hangs must not hang the bench
  const cut = setTimeout(
    () => {
      fail('calls were still without an answer ten seconds after the end');
      for (const { connection } of open) connection.close();
    },
    seconds * 1000 + 10_000,
  );
  await Promise.all(open.map(({ loop }) => loop()));
  const elapsedSeconds = (performance.now() - startedAt) / 1000;
  clearTimeout(timer);
  clearTimeout(cut);
  for (const { connection } of open) connection.close();
  return {
    calls: durations.length,
    callsPerSecond: (durations.length - errors) / elapsedSeconds,
    p50Ms: quantile(durations, 0.5),
    p99Ms: quantile(durations, 0.99),
    errors,
    ...(firstError === undefined ? {} : { firstError }),
  };
};

type HttpTarget = { url: string; headers: Record<string, string> };
const keptAlive = new Agent({ connections: 64 });

/** Reads a whole list, page after page, again and again. @returns the median time of one whole list, and how long it is */
const list = async ({ url, headers, meta, seconds }: HttpTarget & { meta: object; seconds: number }) => {
  const readAll = async (): Promise<{ items: number; bytes: number }> => {
    let cursor: string | undefined;
    let items = 0;
    let bytes = 0;
    do {
      const params = { _meta: meta, ...(cursor === undefined ? {} : { cursor }) };
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params });
      const answer = await request(url, { dispatcher: keptAlive, method: 'POST', headers, body });
      const text = await answer.body.text();
      const { result } = JSON.parse(text.startsWith('{') ? text : text.slice(text.indexOf('data: ') + 6)) as {
        result: { tools: unknown[]; nextCursor?: string };
      };
      items += result.tools.length;
      bytes += text.length;
      cursor = result.nextCursor;
    } while (cursor !== undefined);
    return { items, bytes };
  };
  const durations: number[] = [];
  const until = performance.now() + seconds * 1000;
  let size = await readAll();
  while (performance.now() < until) {
    const startedAt = performance.now();
    size = await readAll();
    durations.push(performance.now() - startedAt);
  }
  return { ...size, medianMs: quantile(durations, 0.5) };
};

const legacyVersion = '2025-11-25';
/** What a request of each session that was begun says of it. */
const sessions: Record<string, string>[] = [];

/** Begins sessions as a client of 2025-11-25 does, and leaves them idle. @returns how many there are */
const openSessions = async ({ url, headers, count }: HttpTarget & { count: number }): Promise<number> => {
  const post = async (body: object, more: Record<string, string> = {}) => {
    const answer = await request(url, {
      dispatcher: keptAlive,
      method: 'POST',
      headers: { ...headers, ...more },
      body: JSON.stringify({ jsonrpc: '2.0', ...body }),
    });
    await answer.body.dump();
    return answer;
  };
  let left = count;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const params = { protocolVersion: legacyVersion, capabilities: {}, clientInfo: { name: 'bench', version: '1' } };
      const { statusCode, headers: answered } = await post({ id: 1, method: 'initialize', params });
      const session = answered['mcp-session-id'];
      if (statusCode !== 200 || typeof session !== 'string') continue;
      const ofSession = { 'mcp-session-id': session, 'mcp-protocol-version': legacyVersion };
      await post({ method: 'notifications/initialized' }, ofSession);
      sessions.push(ofSession);
    }
  };
  await Promise.all(Array.from({ length: 32 }, worker));
  return sessions.length;
};

/** Ends all sessions as their clients would. @returns how many of them the server took for ended */
const endSessions = async ({ url, headers }: HttpTarget): Promise<number> => {
  let ended = 0;
  const worker = async (): Promise<void> => {
    for (let session = sessions.pop(); session !== undefined; session = sessions.pop()) {
      const { statusCode, body } = await request(url, { dispatcher: keptAlive, method: 'DELETE', headers: { ...headers, ...session } });
      await body.dump();
      if (statusCode < 300) ended += 1;
    }
  };
  await Promise.all(Array.from({ length: 32 }, worker));
  return ended;
};

const streams = new Set<Socket>();

/** Opens streams that stay open, a few at a time. @returns how many the server has answered with 200 */
const openStreams = async ({ port, requests, count }: { port: number; requests: string[]; count: number }): Promise<number> => {
  let begun = 0;
  let left = count;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const socket = connect({ port, host: '127.0.0.1' });
      socket.on('error', () => undefined);
      socket.once('close', () => streams.delete(socket));
      streams.add(socket);
      socket.write(requests[left % requests.length] as string);
      const [first] = (await Promise.race([once(socket, 'data'), once(socket, 'close').then(() => [undefined])])) as [Buffer | undefined];
      if (first?.toString('latin1', 9, 12) === '200') begun += 1;
      socket.resume();
    }
  };
  await Promise.all(Array.from({ length: 64 }, worker));
  return begun;
};

answerParent({
  run,
  list,
  openSessions,
  endSessions,
  openStreams,
  /** How many of them the server has not closed. */
  countStreams: () => streams.size,
  closeStreams: () => {
    for (const socket of streams) socket.destroy();
  },
});
