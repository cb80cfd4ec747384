import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../../bench/gateway/free-port.ts';
import { startHost } from '../../../runtime/host/start-host.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { adminToken, type RunningGateway, startRunningGateway } from '../../support/running-gateway.ts';
import { connectLegacyPeer, connectModernPeer, type Peer } from '../../support/sdk-peers.ts';

const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-public-'));
const everything = join(
  dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/package.json')),
  'dist/index.js',
);
let gateway: RunningGateway;
let host: { port: number; close(): Promise<void> };
let remote: ChildProcess;

beforeAll(async () => {
  mkdirSync(join(folder, 'files'));
  writeFileSync(join(folder, 'files/note.txt'), 'a note');
  const [hostPort, remotePort] = [await freePort(), await freePort()];
  remote = spawn(process.execPath, [everything, 'streamableHttp'], { env: { ...process.env, PORT: String(remotePort) }, stdio: 'ignore' });
  host = await startHost({
    port: hostPort,
    key: 'host-key',
    allowUncaged: false,
    packageRoot: fileURLToPath(new URL('../../../', import.meta.url)),
    nodePath: process.execPath,
    logDirectory: join(folder, 'logs'),
  });
  gateway = await startRunningGateway({ hostUrl: `http://127.0.0.1:${hostPort}`, hostKey: 'host-key' });
  const servers = {
    remote: { url: `http://127.0.0.1:${remotePort}/mcp` },
    everything: { package: { npm: '@modelcontextprotocol/server-everything' }, args: ['stdio'], instance: 'session' },
    files: {
      package: { npm: '@modelcontextprotocol/server-filesystem' },
      args: ['/files'],
      mounts: [{ source: join(folder, 'files'), at: '/files', mode: 'rw' }],
    },
    memory: { package: { npm: '@modelcontextprotocol/server-memory' }, env: { MEMORY_FILE_PATH: '/tmp/memory.jsonl' } },
  };
  for (const [name, spec] of Object.entries(servers))
    await gateway.apply(
      { kind: 'McpServer', metadata: { name }, spec },
      { kind: 'Toolset', metadata: { name }, spec: { servers: [{ name }], naming: 'plain' } },
    );
  for (const name of Object.keys(servers)) await gateway.ready(name);
});
afterAll(async () => {
  await gateway.close();
  await host.close();
  remote.kill();
  rmSync(folder, { recursive: true, force: true });
});

const textOf = (result: Record<string, unknown>): string =>
  (result.content as { text?: string }[]).map((block) => block.text ?? '').join('\n');

describe.each([
  { client: 'a 2025-11-25 client', connect: connectLegacyPeer },
  { client: 'a 2026-07-28 client', connect: connectModernPeer },
])('$client', ({ connect }) => {
  const use = async (toolset: string, work: (peer: Peer) => Promise<void>): Promise<void> => {
    const peer = await connect(`${gateway.publicUrl}/mcp/${toolset}`, adminToken);
    try {
      await work(peer);
    } finally {
      await peer.close();
    }
  };

  for (const place of ['remote', 'everything'])
    describe(`server-everything ${place === 'remote' ? 'over HTTP' : 'over stdio, in a cage'}`, () => {
      test('tools, structured results and progress', () =>
        use(place, async (peer) => {
          expect(await peer.listTools()).toContain('echo');
          expect(textOf(await peer.callTool('echo', { message: 'hello' }))).toBe('Echo: hello');
          expect(await peer.callTool('get-structured-content', { location: 'New York' })).toHaveProperty('structuredContent');
          // a client that is asked something meanwhile reports that as progress too, without a total
          const seen: number[] = [];
          await peer.callTool(
            'trigger-long-running-operation',
            { duration: 1, steps: 4 },
            { onProgress: ({ progress, total }) => void (total === 4 && seen.push(progress)) },
          );
          expect(seen).toEqual([1, 2, 3, 4]);
        }));

      test('resources, prompts and completion', () =>
        use(place, async (peer) => {
          const [first] = await peer.listResources();
          expect(JSON.stringify(await peer.readResource(first ?? ''))).toContain(first);
          expect((await peer.listTemplates()).length).toBeGreaterThan(0);
          const prompts = await peer.listPrompts();
          expect(prompts).toContain('simple-prompt');
          expect(JSON.stringify(await peer.getPrompt('simple-prompt'))).toContain('messages');
          expect(await peer.complete('completable-prompt', { name: 'department', value: 'E' })).toMatchObject({
            completion: { values: ['Engineering'] },
          });
        }));

      test('elicitation and sampling in the middle of a call', () =>
        use(place, async (peer) => {
          expect(textOf(await peer.callTool('trigger-elicitation-request'))).toContain('Alice');
          expect(textOf(await peer.callTool('trigger-sampling-request', { prompt: 'capital?', maxTokens: 10 }))).toContain('Paris');
        }));

      test('a call that is given up leaves the server usable', () =>
        use(place, async (peer) => {
          const leave = new AbortController();
          const call = peer.callTool('trigger-long-running-operation', { duration: 30, steps: 60 }, { signal: leave.signal });
          call.catch(() => undefined);
          setTimeout(() => leave.abort(new Error('enough')), 300);
          await expect(call).rejects.toThrow();
          expect(textOf(await peer.callTool('echo', { message: 'still there' }))).toBe('Echo: still there');
        }));
    });

  test('server-filesystem: reads, writes, and names what it may not touch', () =>
    use('files', async (peer) => {
      expect(textOf(await peer.callTool('read_text_file', { path: '/files/note.txt' }))).toBe('a note');
      await peer.callTool('write_file', { path: '/files/new.txt', content: 'written' });
      expect(textOf(await peer.callTool('list_directory', { path: '/files' }))).toContain('new.txt');
      expect(await peer.callTool('read_text_file', { path: '/etc/passwd' })).toMatchObject({ isError: true });
    }));

  test('server-memory: what one call stores, the next finds', () =>
    use('memory', async (peer) => {
      const name = `entity-${Math.random().toString(36).slice(2)}`;
      await peer.callTool('create_entities', { entities: [{ name, entityType: 'ship', observations: ['sails'] }] });
      await pollUntil(async () => textOf(await peer.callTool('search_nodes', { query: name })).includes('sails'), 'the entity');
    }));
});
