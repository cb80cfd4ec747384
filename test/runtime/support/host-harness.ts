import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { createRuntimeChooser } from '../../../runtime/host/choose-runtime.ts';
import type { HostConfig } from '../../../runtime/host/host-config.ts';
import { startHost } from '../../../runtime/host/start-host.ts';
import type { ServerLaunchInput } from '../../../schema/server-launch.ts';

export const supportFolder = import.meta.dirname;
export const packageRoot = join(supportFolder, '../../..');

/** A started host with its folder, its log and short ways to its routes. */
export type HostHarness = Awaited<ReturnType<typeof startTestHost>>;

export type TestHostOptions = { isCaged: boolean; now?: () => number; config?: Partial<HostConfig>; probeTimeoutMs?: number };

/** Starts a host on a free port; `isCaged: false` plays a machine where no cage can be had and the operator allowed to do without. */
export const startTestHost = async ({ isCaged, now, config: changes, probeTimeoutMs }: TestHostOptions) => {
  const folder = await mkdtemp(join(tmpdir(), 'quarterdeck-host-'));
  const logged: string[] = [];
  const logger = pino({ base: null }, { write: (line: string) => void logged.push(line) });
  const config: HostConfig = {
    port: 0,
    key: 'internal-key',
    allowUncaged: !isCaged,
    packageRoot,
    nodePath: process.execPath,
    logDirectory: join(folder, 'logs'),
    ...changes,
  };
  const probe = async () => ({ ok: false as const, reason: 'No cages in this test.' });
  const chooser = isCaged ? {} : { chooseRuntime: createRuntimeChooser(config, logger, probe) };
  const host = await startHost(config, { logger, ...chooser, ...(now && { now }), ...(probeTimeoutMs && { probeTimeoutMs }) }).catch(
    async (error: unknown) => {
      await rm(folder, { recursive: true, force: true });
      throw error;
    },
  );
  const address = `http://127.0.0.1:${host.port}`;

  const request = (method: string, path: string, body?: unknown, init: RequestInit = {}): Promise<Response> =>
    fetch(`${address}${path}`, {
      method,
      ...init,
      headers: { authorization: `Bearer ${config.key}`, 'content-type': 'application/json', ...init.headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
  const pathOf = (id: string, action = '') => `/instances/${encodeURIComponent(id)}${action}`;
  const ensure = (launch: ServerLaunchInput) => request('PUT', pathOf(launch.id), launch);
  const rpc = (id: string, message: unknown, init?: RequestInit) => request('POST', pathOf(id, '/mcp'), message, init);
  let lastId = 0;
  /** Calls a tool and returns the JSON-RPC answer. */
  const callTool = async (id: string, name: string, args: unknown = {}) => {
    lastId += 1;
    const response = await rpc(id, { jsonrpc: '2.0', id: `call-${lastId}`, method: 'tools/call', params: { name, arguments: args } });
    const answer = (await response.json()) as {
      result?: { content: { text: string }[]; isError?: boolean };
      error?: { code: number; data?: unknown };
    };
    return { ...answer, lost: response.headers.get('quarterdeck-lost') };
  };
  /** Calls a tool and returns the text of its answer. */
  const toolText = async (id: string, name: string, args?: unknown) => {
    const answer = await callTool(id, name, args);
    return answer.result?.content[0]?.text ?? `no result: ${JSON.stringify(answer)}`;
  };
  const close = async () => {
    await host.close();
    await rm(folder, { recursive: true, force: true });
  };
  return { ...host, close, folder, address, config, logged, request, pathOf, ensure, rpc, callTool, toolText };
};

/** A launch of the tiny server; in a cage its code is mounted at `/server`, which also works without one. */
export const tinyLaunch = (id: string, changes: Partial<ServerLaunchInput> = {}): ServerLaunchInput => ({
  id,
  digest: 'sha256:one',
  program: { kind: 'command', command: ['node', '/server/tiny-server.ts'] },
  mounts: [{ source: supportFolder, at: '/server', mode: 'ro' }],
  ...changes,
});

/** Polls until `check` holds. */
export const until = async (check: () => boolean | Promise<boolean>, what: string): Promise<void> => {
  const deadline = Date.now() + 10_000;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`Not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};

/** Whether a process is there and is no zombie. */
export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
