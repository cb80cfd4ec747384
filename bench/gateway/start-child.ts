import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Answer } from './answer-parent.ts';

/** A process of the bench that answers questions. */
export type Child = {
  pid: number;
  ask<Output = void>(name: string, input?: unknown): Promise<Output>;
  close(): Promise<void>;
};

/**
 * Starts a process of the bench; it ends with this one.
 * @param file - its entry, beside this file
 */
export const startChild = (file: string): Child => {
  const entry = fileURLToPath(new URL(file, import.meta.url));
  const child = fork(entry, [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv: [] });
  const waiting = new Map<number, { resolve(output: unknown): void; reject(error: Error): void }>();
  let asked = 0;
  child.on('message', ({ id, output, error }: Answer) => {
    const waiter = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) waiter?.resolve(output);
    else waiter?.reject(new Error(`${file}: ${error}`));
  });
  child.on('exit', (code, signal) => {
    for (const { reject } of waiting.values()) reject(new Error(`${file} ended with ${signal ?? code}`));
    waiting.clear();
  });
  return {
    pid: child.pid as number,
    ask: <Output>(name: string, input?: unknown) =>
      new Promise<Output>((resolve, reject) => {
        if (!child.connected) return reject(new Error(`${file} is gone`));
        asked += 1;
        waiting.set(asked, { resolve: resolve as (output: unknown) => void, reject });
        child.send({ id: asked, name, input });
      }),
    close: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL'); // it holds nothing that would have to be put away
      await gone;
    },
  };
};
