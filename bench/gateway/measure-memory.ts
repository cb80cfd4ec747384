import { setTimeout as delay } from 'node:timers/promises';
import type { LoadResult } from './load-process.ts';
import type { Stage } from './measure-cell.ts';
import { residentMegabytes } from './processes.ts';
import { callRequests, legacyHeaders, listenRequests } from './requests.ts';
import { median, rounded } from './statistics.ts';

/** Resident memory of the gateway in megabytes, and what calls take meanwhile. */
export type MemoryFigures = {
  sessions: number;
  streams: number;
  beforeMegabytes: number;
  withMegabytes: number;
  afterMegabytes: number;
  /** Of calls without the idle ones, before and after them; the median of all slices. */
  p99Ms: number;
  p99WithMs: number;
  /** Calls with the idle ones over calls without. */
  p99Ratio: number;
};

const path = '/mcp/default/default/one';
/** So many calls are under way, so that the machine is not all used up and the times are those of the gateway. */
const connections = 2;

/** Fills the gateway with idle legacy sessions and open listen streams, and ends them again. */
export const measureMemory = async (
  { load, gateway }: Stage,
  { sessions, streams, rounds, seconds }: { sessions: number; streams: number; rounds: number; seconds: number },
): Promise<MemoryFigures> => {
  const { port, token, pid } = gateway;
  const plan = {
    routes: [{ port, requests: callRequests(port, path, ['read_16B_json'], token) }],
    connections,
    seconds,
    expectedBytes: 16,
  };
  const p99s = async (): Promise<number[]> => {
    const slices: number[] = [];
    while (slices.length < rounds) slices.push((await load.ask<LoadResult>('run', plan)).p99Ms);
    return slices;
  };
  const p99Before = await p99s();
  const beforeMegabytes = residentMegabytes(pid);
  const legacy = { url: `http://127.0.0.1:${port}${path}`, headers: legacyHeaders(token) };
  const begunSessions = await load.ask<number>('openSessions', { ...legacy, count: sessions });
  const begunStreams = await load.ask<number>('openStreams', { port, requests: listenRequests(port, path, token), count: streams });
  const p99With = await p99s();
  const withMegabytes = residentMegabytes(pid);
  await load.ask('closeStreams');
  await load.ask('endSessions', legacy);
  await delay(2000); // the gateway notices, and gives back what it can
  const afterMegabytes = residentMegabytes(pid);
  const p99Without = [...p99Before, ...(await p99s())];
  return {
    sessions: begunSessions,
    streams: begunStreams,
    beforeMegabytes: rounded(beforeMegabytes),
    withMegabytes: rounded(withMegabytes),
    afterMegabytes: rounded(afterMegabytes),
    p99Ms: rounded(median(p99Without)),
    p99WithMs: rounded(median(p99With)),
    p99Ratio: rounded(median(p99With) / median(p99Without)),
  };
};
