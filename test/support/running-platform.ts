import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeStatus, type PlatformStatus } from '../../cli/up/describe-status.ts';
import { checkPorts, type Listener, portOffsets, portsFrom } from '../../cli/up/ports.ts';
import { startOf } from '../../cli/up/process-identity.ts';
import { type ReadyFile, readReadyFile } from '../../cli/up/ready-file.ts';
import { pollUntil } from './poll-until.ts';
import { startCli } from './run-cli.ts';

/** A base of which all ten ports are free. */
export const freeBasePort = async (): Promise<number> => {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const base = 20_000 + Math.floor(Math.random() * 1000) * 10;
    try {
      await checkPorts(portsFrom(base), Object.keys(portOffsets) as Listener[]);
      return base;
    } catch {
      // one is taken: another base
    }
  }
  throw new Error('no ten free ports in a row');
};

/**
 * A place for platforms that are started by the real command: a data folder and ports of its own. `close` ends what runs there
 * and takes the folder away.
 */
export const createPlatformPlace = async () => {
  const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-up-'));
  const data = join(folder, 'data');
  const readyFile = join(folder, 'ready.json');
  const port = await freeBasePort();
  const pids = new Set<number>();

  const status = (): PlatformStatus => {
    const found = describeStatus(data, new Date());
    for (const { pid } of found.processes) if (pid !== null) pids.add(pid);
    return found;
  };
  /** Calls `up` with more arguments; it may fail to start. */
  const up = (args: string[] = [], env: Record<string, string> = {}) =>
    startCli(['up', '--data', data, '--port', String(port), '--ready-file', readyFile, ...args], { env: { HOME: homedir(), ...env } });

  return {
    folder,
    data,
    port,
    readyFile,
    status,
    up,
    /** Starts a platform and waits until it is ready. */
    start: async (args: string[] = [], env: Record<string, string> = {}) => {
      const cli = up(args, env);
      const ready = await pollUntil(
        (): ReadyFile | undefined => {
          if (cli.child.exitCode !== null) throw new Error(`up ended: ${cli.text.stderr}`);
          const ready = readReadyFile(readyFile);
          return ready?.pid === cli.child.pid ? ready : undefined; // a killed one leaves its file
        },
        'a platform',
        60_000,
      );
      status();
      return { ...cli, ready };
    },
    pidOf: (name: string): number => status().processes.find((one) => one.name === name)?.pid ?? 0,
    /** Processes of the platforms seen so far that still run. */
    stillRunning: (): number[] => [...pids].filter((pid) => startOf(pid) !== undefined),
    log: (name: string): string => readFileSync(join(data, 'logs', `${name}.log`), 'utf8'),
    close: (): void => {
      status();
      for (const pid of pids) if (startOf(pid) !== undefined) process.kill(pid, 'SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
export type PlatformPlace = Awaited<ReturnType<typeof createPlatformPlace>>;

/** Asks the api as the person of a token. */
export const askApi = async (
  ready: ReadyFile,
  path: string,
  { token = ready.adminToken, body }: { token?: string | undefined; body?: unknown } = {},
) => {
  const response = await fetch(`${ready.apiUrl}/api/v1alpha1${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
  return { status: response.status, body: (await response.json()) as any };
};
