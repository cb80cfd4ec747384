import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { readCheckpoint, type SignedCheckpoint } from './audit-checkpoint.ts';

/** Where checkpoints are kept outside the database. */
export type CheckpointSink = {
  /** All of them, in the order they were added; a line that a crash cut off at the end is left out. */
  read(): Promise<SignedCheckpoint[]>;
  /** Adds some, for good: they are on the disk afterwards. */
  append(checkpoints: readonly SignedCheckpoint[]): Promise<void>;
};

const parseLine = (line: string): SignedCheckpoint | undefined => {
  try {
    const { statement, signature } = JSON.parse(line) as Partial<SignedCheckpoint>;
    return typeof statement === 'string' && typeof signature === 'string' ? { statement, signature } : undefined;
  } catch {
    return undefined;
  }
};

/** A file with one checkpoint a line. It may lie on any disk, be copied elsewhere, or be one that can only be appended to (`chattr +a`). */
export const checkpointFile = (path: string): CheckpointSink => {
  const text = (): Promise<string> =>
    readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
  return {
    read: async () => (await text()).split('\n').flatMap((line) => parseLine(line) ?? []),
    append: async (checkpoints) => {
      if (checkpoints.length === 0) return;
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      const isCut = !/(^|\n)$/.test(await text());
      const file = await open(path, 'a', 0o600);
      try {
        const lines = checkpoints.map(({ statement, signature }) => `${JSON.stringify({ statement, signature })}\n`);
        await file.appendFile((isCut ? '\n' : '') + lines.join(''));
        await file.datasync();
      } finally {
        await file.close();
      }
    },
  };
};

/** The number of a kept checkpoint; 0 for a text that is none. */
export const numberOf = ({ statement }: SignedCheckpoint): number => readCheckpoint(statement)?.number ?? 0;
