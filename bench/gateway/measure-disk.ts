import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { quantile } from './statistics.ts';

/** What one `fdatasync` of 8 KiB takes in a folder, in milliseconds, the median of many: no commit can be faster. */
export const measureFdatasync = (folder: string): number => {
  const file = join(folder, `fdatasync-${process.pid}`);
  const descriptor = openSync(file, 'w');
  const page = Buffer.alloc(8192, 1);
  const durations: number[] = [];
  try {
    for (let index = 0; index < 200; index += 1) {
      writeSync(descriptor, page, 0, page.length, (index % 64) * page.length);
      const startedAt = performance.now();
      fdatasyncSync(descriptor);
      durations.push(performance.now() - startedAt);
    }
  } finally {
    closeSync(descriptor);
    rmSync(file, { force: true });
  }
  return quantile(durations, 0.5);
};
