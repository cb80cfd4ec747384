import { closeSync, copyFileSync, fstatSync, openSync, readdirSync, readSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';

const rotateAtBytes = 10 * 1024 * 1024;
const lookEveryMs = 30_000;

/** Where a process's log is: `logs/NAME.log`, and `NAME.log.1` before that. */
export const logFileOf = (folder: string, name: string): string => join(folder, `${name}.log`);

/** Opens a log to append to; the process writes to it by itself, so it goes on while the supervisor is busy or gone. */
export const openLog = (path: string): number => openSync(path, 'a', 0o600);

/** Keeps at most one older log: it is copied and cut, since the writer holds it open. */
const rotate = (path: string): void => {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) < rotateAtBytes) return;
  try {
    copyFileSync(path, `${path}.1`);
    truncateSync(path);
  } catch {
    // a full disk: the log stays as it is, and is looked at again
  }
};

/** Looks after all logs of a folder. @returns a function that ends it */
export const keepLogsSmall = (folder: string): (() => void) => {
  const look = (): void => {
    for (const name of readdirSync(folder)) if (name.endsWith('.log')) rotate(join(folder, name));
  };
  look();
  const timer = setInterval(look, lookEveryMs);
  timer.unref();
  return () => clearInterval(timer);
};

/** The last line that was written, or the last that names an error if one of the last lines does; at most 300 characters. */
export const lastLineOf = (path: string): string | undefined => {
  try {
    const file = openSync(path, 'r');
    try {
      const { size } = fstatSync(file);
      const tail = Buffer.alloc(Math.min(size, 4096));
      readSync(file, tail, 0, tail.length, size - tail.length);
      const lines = tail.toString('utf8').split('\n').filter(Boolean).slice(-10);
      return (lines.findLast((line) => /\b(fatal|panic|error)\b/i.test(line)) ?? lines.at(-1))?.slice(0, 300);
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
};
