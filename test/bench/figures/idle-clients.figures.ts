import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { z } from 'zod';

const FiguresSchema = z.object({
  errors: z.literal(0),
  memory: z.object({ sessions: z.number(), streams: z.number(), p99Ms: z.number(), p99WithMs: z.number(), p99Ratio: z.number() }),
});

const count = 10_000;
const mostRatio = 1.2;

/** The last line of the benchmark as a user starts it. */
const bench = async (folder: string): Promise<z.infer<typeof FiguresSchema>> => {
  const options = ['--json', '--cell', 'read-c1-16B-json', '--rounds', '7', '--idle', String(count), '--data', folder];
  const { stdout } = await promisify(execFile)(process.execPath, ['cli/main.ts', 'bench', 'gateway', ...options]);
  return FiguresSchema.parse(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''));
};

test('with 10,000 idle sessions and 10,000 listen streams the slowest hundredth of calls takes at most a fifth longer', {
  timeout: 600_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-figures-'));
  try {
    const { memory } = await bench(folder);
    console.log(`p99 ${memory.p99Ms} ms without, ${memory.p99WithMs} ms with: × ${memory.p99Ratio}`);
    expect([memory.sessions, memory.streams]).toEqual([count, count]);
    expect(memory.p99Ratio).toBeLessThanOrEqual(mostRatio);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
