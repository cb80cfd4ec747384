import { createHash } from 'node:crypto';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { redactLines } from './redact-lines.ts';

const maximumBytes = 1024 * 1024;

/** File for an instance's error output: its id, made safe as a name, and a digest so that no two ids share a file. */
export const serverLogPath = (logDirectory: string, id: string): string => {
  const digest = createHash('sha256').update(id).digest('hex').slice(0, 8);
  return join(logDirectory, `${id.replaceAll(/[^A-Za-z0-9._-]/g, '_').slice(0, 150)}-${digest}.log`);
};

/**
 * A log file that never grows beyond 1 MiB: full, it becomes `<path>.1` in place of the one before, and a new one begins.
 * What looks like a secret is replaced, line by line. It takes what comes at the disk's pace, so a chatty server is slowed down instead of filling memory; a failing disk loses lines, not the server.
 */
export const createCappedLog = (path: string): Writable => {
  let file: FileHandle | undefined;
  let size = 0;
  const lines = redactLines();
  const write = async (chunk: Buffer): Promise<void> => {
    if (file === undefined) {
      file = await open(path, 'a', 0o600);
      size = (await file.stat()).size;
    }
    if (size > 0 && size + chunk.length > maximumBytes) {
      await file.close();
      await rename(path, `${path}.1`);
      file = await open(path, 'a', 0o600);
      size = 0;
    }
    const kept = chunk.subarray(0, maximumBytes);
    await file.write(kept);
    size += kept.length;
  };
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      const clean = lines.take(chunk);
      if (clean.length === 0) return done();
      write(clean).then(
        () => done(),
        () => done(),
      );
    },
    final: (done) => {
      const rest = lines.rest();
      if (rest.length === 0) return done();
      write(rest).then(
        () => done(),
        () => done(),
      );
    },
    destroy: (error, done) => {
      Promise.resolve(file?.close()).then(
        () => done(error),
        () => done(error),
      );
    },
  });
};
