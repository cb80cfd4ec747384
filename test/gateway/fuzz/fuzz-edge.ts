import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import type { FuzzTarget } from './fuzz-target.ts';
import { type RawRequest, rawRequest } from './raw-requests.ts';
import { sendBytes } from './send-bytes.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** So many connections at once. */
const atOnce = 24;
const mebibyte = 1024 * 1024;
/** What a heap may have more of at the end than after the first quarter: caches fill, garbage is not quite gone. */
const growthBytes = 32 * mebibyte;

/** What is wrong with how a request ended; undefined = nothing. */
export const faultOf = async (target: FuzzTarget, request: RawRequest): Promise<string | undefined> => {
  const { answer, isHung } = await sendBytes(target.port, request);
  if (isHung) return 'neither answered nor closed within 5 s';
  if (answer.includes('HTTP/1.1 500')) return 'a 500';
  if (answer.includes('"code":-32603') || answer.includes('"code":"internal"')) return 'an internal error';
  return undefined;
};

const settledHeap = async (): Promise<number> => {
  for (let round = 0; round < 3; round += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    collectGarbage();
  }
  return process.memoryUsage().heapUsed;
};

/**
 * Sends requests that nobody would send to a gateway in this process, for a while.
 * @returns how many were sent
 * @throws with the bytes of the smallest request that has a fault, as a line for `regressions.ts`; or when memory grew
 */
export const fuzzEdge = async (target: FuzzTarget, { durationMs, seed }: { durationMs: number; seed?: number }): Promise<number> => {
  let sent = 0;
  const run = (forMs: number, part: number): Promise<void> =>
    fc.assert(
      fc.asyncProperty(fc.array(rawRequest(target), { minLength: 1, maxLength: atOnce }), async (requests) => {
        const faults = await Promise.all(requests.map((request) => faultOf(target, request)));
        sent += requests.length;
        for (const [index, fault] of faults.entries())
          if (fault) throw new Error(`${fault}: { what: '', bytes: () => ${JSON.stringify(requests[index]?.bytes.toString('latin1'))} }`);
      }),
      {
        numRuns: Number.MAX_SAFE_INTEGER,
        interruptAfterTimeLimit: forMs,
        markInterruptAsFailure: false,
        ...(seed === undefined ? {} : { seed: seed + part }),
      },
    );
  await run(durationMs / 4, 0);
  const before = await settledHeap();
  await run((durationMs * 3) / 4, 1);
  const after = await settledHeap();
  if (after - before > growthBytes)
    throw new Error(`the heap grew from ${Math.round(before / mebibyte)} to ${Math.round(after / mebibyte)} MiB over ${sent} requests`);
  return sent;
};
