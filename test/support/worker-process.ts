import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/**
 * Starts one of the scripts beside this file as a process of its own, and waits until it says `ready`.
 * @param options - what it is told, as JSON
 * @throws when it ends before that
 */
export const startWorkerProcess = async (script: string, options: object) => {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const child: ChildProcess = spawn(process.execPath, [path, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  await Promise.race([
    once(child.stdout as NodeJS.ReadableStream, 'data'),
    exited.then(([code]) => {
      throw new Error(`${script} ended with ${code} before it was ready`);
    }),
  ]);
  return {
    pid: child.pid as number,
    isRunning: (): boolean => child.exitCode === null && child.signalCode === null,
    /** Ends it at once, in whatever it is doing. */
    kill: async (): Promise<void> => {
      child.kill('SIGKILL');
      await exited;
    },
  };
};
export type WorkerProcess = Awaited<ReturnType<typeof startWorkerProcess>>;
