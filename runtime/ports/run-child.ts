import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import type { RunningServer, ServerExit } from './server-runtime.ts';

/** After its input is closed a server may take this long to end by itself. */
const graceMs = 1_000;
/** Output still on its way when a process ended is read for at most this long; a left-over grandchild could hold the pipe open for ever. */
const drainMs = 500;

/** What to spawn. `extraInputs` become file descriptors 3, 4, …: each is written once and closed, and stands in no argument list. */
export type ChildPlan = { command: string; args: string[]; env: Record<string, string>; cwd: string; extraInputs?: Buffer[] };

const whenExited = (child: ChildProcess): Promise<ServerExit> =>
  new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: null, signal: null, failure: error.message }));
    child.once('close', (code, signal) => resolve({ code, signal }));
    child.once('exit', (code, signal) => setTimeout(() => resolve({ code, signal }), drainMs).unref());
  });

const killGroup = (pid: number): void => {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // gone already
  }
};

/**
 * Spawns a process that leads a group of its own, so that a Ctrl-C in the host's terminal does not reach it and its whole group can be killed.
 * @returns the process as the port wants it, without its isolation; `failure` of `exited` is set when it could not be spawned, `pid` is 0 then
 */
export const runChild = ({ command, args, env, cwd, extraInputs = [] }: ChildPlan): Omit<RunningServer, 'isolation' | 'translation'> => {
  const child = spawn(command, args, {
    env,
    cwd,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe', ...extraInputs.map(() => 'pipe' as const)],
  });
  const exited = whenExited(child);
  const pid = child.pid ?? 0;
  const [stdin, stdout, stderr, ...extra] = child.stdio as [Writable, Readable, Readable, ...Writable[]];
  // A process that dies while it is written to is reported by `exited`; its broken pipes add nothing.
  for (const stream of [stdin, stdout, stderr, ...extra]) stream.on('error', () => {});
  for (const [index, content] of extraInputs.entries()) extra[index]?.end(content);

  const stop = async (): Promise<void> => {
    if (pid === 0) {
      await exited;
      return;
    }
    stdin.end();
    const timer = setTimeout(() => killGroup(pid), graceMs);
    await exited;
    clearTimeout(timer);
    if (child.exitCode === null && child.signalCode === null) return;
    killGroup(pid); // what it left behind in its group
  };
  return { pid, stdin, stdout, stderr, exited, stop };
};
