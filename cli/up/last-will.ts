import { spawn } from 'node:child_process';

/**
 * Reads `+ PID SIGNAL` and `- PID` until the pipe closes, which it does however the writer dies; then asks those that are left to
 * end, and after five seconds makes their process groups. Each of them leads a group.
 */
const script = `
trap '' INT TERM HUP
left=
while read -r sign pid signal; do
  case $sign in
    +) left="$left $pid:$signal" ;;
    -) kept=; for entry in $left; do [ "\${entry%:*}" = "$pid" ] || kept="$kept $entry"; done; left=$kept ;;
  esac
done
[ -n "$left" ] || exit 0
for entry in $left; do kill -s "\${entry#*:}" "\${entry%:*}" 2>/dev/null; done
for second in 1 2 3 4 5; do
  sleep 1
  kept=; for entry in $left; do kill -s 0 "\${entry%:*}" 2>/dev/null && kept="$kept $entry"; done; left=$kept
  [ -n "$left" ] || exit 0
done
for entry in $left; do kill -s KILL "-\${entry%:*}" 2>/dev/null; done
`;

export type LastWill = {
  /** @param signal - asks the process to end, without `SIG`: `TERM`, or `INT` for a fast shutdown of Postgres */
  include(pid: number, signal: 'TERM' | 'INT'): void;
  exclude(pid: number): void;
  /** Nothing is stopped by it any more. */
  revoke(): void;
};

/**
 * Makes sure that no process outlives this one, even when this one is killed and can do nothing about it.
 * Our own children notice that by themselves; Postgres and Temporal do not. A shell costs one megabyte.
 */
export const makeLastWill = (): LastWill => {
  const shell = spawn('/bin/sh', ['-c', script, 'quarterdeck-last-will'], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    cwd: '/',
    env: { PATH: '/usr/bin:/bin' },
  });
  const included = new Set<number>();
  const write = (line: string): void => void shell.stdin.write(`${line}\n`);
  shell.stdin.on('error', () => undefined); // without the shell the next start still finds what was left
  shell.on('error', () => undefined);
  shell.unref();
  return {
    include: (pid, signal) => {
      included.add(pid);
      write(`+ ${pid} ${signal}`);
    },
    exclude: (pid) => {
      if (included.delete(pid)) write(`- ${pid}`);
    },
    revoke: () => {
      for (const pid of included) write(`- ${pid}`);
      shell.stdin.end();
    },
  };
};
