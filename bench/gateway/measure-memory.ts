import { setTimeout as delay } from 'node:timers/promises';
import type { LoadResult } from './load-process.ts';
import type { Stage } from './measure-cell.ts';
import { residentMegabytes } from './processes.ts';
import { callRequests, legacyHeaders, listenRequests } from './requests.ts';
import { rounded } from './statistics.ts';

/** Resident memory of the gateway in megabytes, and what calls take meanwhile. */
export type MemoryFigures = {
  sessions: number;
  streams: number;
  beforeMegabytes: number;
  withMegabytes: number;
  afterMegabytes: number;
  p99Ms: number;
  p99WithMs: number;
};

const path = '/mcp/default/default/one';

/** Fills the gateway with idle legacy sessions and open listen streams, and ends them again. */
export const measureMemory = async (
  { load, gateway }: Stage,
  { sessions, streams, seconds }: { sessions: number; streams: number; seconds: number },
): Promise<MemoryFigures> => {
  const { port, token, pid } = gateway;
  const calls = (): Promise<LoadResult> =>
    load.ask('run', {
      routes: [{ port, requests: callRequests(port, path, ['read_16B_json'], token) }],
      connections: 8,
      seconds,
      expectedBytes: 16,
    });
  const { p99Ms } = await calls();
  const beforeMegabytes = residentMegabytes(pid);
  const url = `http://127.0.0.1:${port}${path}`;
  const begunSessions = await load.ask<number>('openSessions', { url, headers: legacyHeaders(token), count: sessions });
  const begunStreams = await load.ask<number>('openStreams', { port, requests: listenRequests(port, path, token), count: streams });
  const { p99Ms: p99WithMs } = await calls();
  const withMegabytes = residentMegabytes(pid);
  await load.ask('closeStreams');
  await delay(2000); // the gateway notices, and gives back what it can
  return {
    sessions: begunSessions,
    streams: begunStreams,
    beforeMegabytes: rounded(beforeMegabytes),
    withMegabytes: rounded(withMegabytes),
    afterMegabytes: rounded(residentMegabytes(pid)),
    p99Ms: rounded(p99Ms),
    p99WithMs: rounded(p99WithMs),
  };
};
