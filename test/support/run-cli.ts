import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const entry = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));

export type CliResult = { code: number | null; stdout: string; stderr: string };
export type CliOptions = { env?: Record<string, string>; cwd?: string; input?: string | Buffer };

/** Starts the real command line with an environment of its own; `text` is what it said so far. */
export const startCli = (args: string[], { env = {}, cwd, input }: CliOptions = {}) => {
  const child: ChildProcessWithoutNullStreams = spawn(process.execPath, [entry, ...args], {
    cwd,
    env: { PATH: process.env.PATH, HOME: '/nonexistent', ...env },
  });
  const text = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (part) => {
    text.stdout += part;
  });
  child.stderr.setEncoding('utf8').on('data', (part) => {
    text.stderr += part;
  });
  child.stdin.on('error', () => undefined); // a command that ended without reading
  child.stdin.end(input ?? '');
  const ended = once(child, 'close').then(([code]): CliResult => ({ code, ...text }));
  return { child, text, ended };
};

export const runCli = (args: string[], options?: CliOptions): Promise<CliResult> => startCli(args, options).ended;
