import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';

/** A program as it is started: no shell, and nothing of our environment but what stands here. */
export type Command = {
  file: string;
  args: readonly string[];
  env: Readonly<Record<string, string>>;
  /** Folder to start in; it has to be one that the account may enter. */
  cwd: string;
  /** Another account, for a supervisor that is root. */
  uid?: number;
  gid?: number;
};

/**
 * Starts a program in a session of its own, so that Ctrl-C in the terminal reaches the supervisor alone, which then stops
 * everything in its order.
 */
export const spawnCommand = ({ file, args, ...place }: Command, stdio: SpawnOptions['stdio']): ChildProcess =>
  spawn(file, args, { ...place, stdio, detached: true });

/**
 * Runs a program to its end.
 * @param onSpawn - gets the process, so that it can be stopped by whoever must
 * @returns its exit code (128 + 9 stands for one that was killed) and the last 8 KiB of what it printed
 * @throws what `spawn` throws where there is no such program
 */
export const runToEnd = async (
  command: Command,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<{ code: number; output: string }> => {
  const child = spawnCommand(command, ['ignore', 'pipe', 'pipe']);
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString('utf8')).slice(-8192);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  const stop = (): void => void child.kill('SIGKILL');
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted) stop();
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve({ code: code ?? 137, output }));
    });
  } finally {
    signal?.removeEventListener('abort', stop);
  }
};
