import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { defaultTenancy } from '../../../schema/ids.ts';
import { closeDatabase, openDatabase } from '../../../store/database.ts';
import { giveOrder, listAnswers } from '../../../store/process-reports.ts';
import { findTarget } from '../../../store/reconcile-targets.ts';
import { startCountingServer } from '../../support/counting-server.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { runCli } from '../../support/run-cli.ts';
import { createPlatformPlace, type PlatformPlace } from '../../support/running-platform.ts';
import { type SettingsServer, startSettingsServer } from '../../support/settings-server.ts';

const apiVersion = 'quarterdeck.dev/v1alpha1';
let place: PlatformPlace;
let counting: Awaited<ReturnType<typeof startCountingServer>>;
let settings: SettingsServer;
let databaseUrl: string;

const cli = async (...args: string[]) => {
  const result = await runCli([...args, '--data', place.data]);
  return result;
};
const declare = async (...resources: object[]) => {
  const file = join(place.folder, 'declared.yaml');
  writeFileSync(file, resources.map((resource) => stringify({ apiVersion, ...resource })).join('---\n'));
  const { code, stderr } = await cli('apply', '-f', file);
  if (code !== 0) throw new Error(stderr);
};

beforeAll(async () => {
  [counting, settings, place] = await Promise.all([startCountingServer(), startSettingsServer(), createPlatformPlace()]);
  databaseUrl = (await place.start(['--profile', 'dev'])).ready.databaseUrl;
  await declare(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: counting.url } },
    { kind: 'McpServer', metadata: { name: 'settings' }, spec: { url: settings.url } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
    { kind: 'Toolset', metadata: { name: 'settings' }, spec: { servers: [{ name: 'settings' }], naming: 'plain' } },
  );
  for (const name of ['counting', 'settings']) await cli('wait', `toolset/${name}`, '--for=condition=Ready', '--timeout=60s');
}, 180_000);
afterAll(async () => {
  place?.close();
  await counting?.close();
  await settings?.close();
});

test('an installation that is well is clean in all its parts, and starts no workflow', async () => {
  await declare({
    kind: 'ReconcileTarget',
    metadata: { name: 'platform' },
    spec: { type: 'platform', intervalSeconds: 2, verification: { holdSeconds: 1 } },
  });
  const status = await pollUntil(
    async () => {
      const { stdout } = await cli('reconcile', 'status', 'platform', '-o', 'json');
      return stdout.includes('"clean"') ? stdout : undefined;
    },
    'the target to be clean',
    60_000,
  );
  expect(status).not.toContain('"drifted"');
  expect((await cli('reconcile', 'history', 'platform', '-o', 'json')).stdout).not.toContain('fix_');
}, 120_000);

test('a tool that changes under its users is put under quarantine by a rule, without a model and without a person', async () => {
  counting.state.tools = counting.state.tools.map((tool) =>
    tool.name === 'look' ? { ...tool, description: 'Looks, and tells others' } : tool,
  );
  await pollUntil(
    async () => /tool +look +quarantined/.test((await cli('server', 'pins', 'ls', 'counting')).stdout) || undefined,
    'the quarantine',
    150_000,
  );
  const history = await pollUntil(
    async () => {
      const { stdout } = await cli('reconcile', 'history', 'platform', '-o', 'json');
      return stdout.includes('"fixed"') && stdout.includes('quarantine-tool') ? stdout : undefined;
    },
    'the fix to be verified',
    120_000,
  );
  expect(history).toContain('quarantine-tool');
}, 300_000);

test('what an MCP server keeps is brought back to what was declared, by its own tool', async () => {
  await declare(
    { kind: 'Provider', metadata: { name: 'nobody' }, spec: { kind: 'openai-compatible', baseUrl: 'http://127.0.0.1:9' } },
    { kind: 'Model', metadata: { name: 'none' }, spec: { routes: [{ provider: 'nobody', model: 'none' }] } },
    {
      kind: 'AgentRole',
      metadata: { name: 'keeper' },
      spec: { instructions: 'Keep.', model: 'none', toolset: 'settings', output: { type: 'object' } },
    },
    { kind: 'AccessBinding', metadata: { name: 'keepers' }, spec: { subjects: [{ agentRole: 'keeper' }], toolsets: ['settings'] } },
    {
      kind: 'ReconcileTarget',
      metadata: { name: 'settings' },
      spec: {
        ...{
          type: 'mcp',
          intervalSeconds: 2,
          toolset: 'settings',
          role: 'keeper',
          verification: { holdSeconds: 1 },
          limits: { cooldownSeconds: 0 },
        },
        observe: [{ name: 'shown', tool: 'look', select: '/settings' }],
        desired: { shown: { colour: 'blue' } },
        actions: [
          {
            name: 'paint',
            of: 'shown',
            apply: { tool: 'set', arguments: { value: { colour: { $desired: '/colour' } } } },
            undo: { tool: 'set', arguments: { value: { colour: { $observed: '/colour' } } } },
          },
        ],
      },
    },
    {
      kind: 'ReconcileRule',
      metadata: { name: 'repaint' },
      spec: {
        match: "target.type == 'mcp' && drift.kind == 'changed'",
        targets: ['settings'],
        operations: [{ op: 'act', object: { $drift: 'object' }, action: 'paint' }],
      },
    },
  );
  settings.state.settings = { ...settings.state.settings, colour: 'red' };
  await pollUntil(() => settings.state.settings.colour === 'blue' || undefined, 'the colour that was declared', 120_000);
  expect(settings.state.settings).toMatchObject({ colour: 'blue', note: 'of others' });
  // as declared it is looked at as ever, and costs no workflow (each takes a fence) and no write
  const database = openDatabase({ url: databaseUrl, name: 'test' });
  try {
    const row = () => findTarget(database, { ...defaultTenancy, target: 'settings' });
    const clean = await pollUntil(async () => ((await row())?.phase === 'clean' ? await row() : undefined), 'it to be clean', 60_000);
    const { looks } = settings.state;
    await pollUntil(() => settings.state.looks >= looks + 5 || undefined, 'five looks more', 60_000);
    expect(await row()).toEqual(clean);
  } finally {
    await closeDatabase(database);
  }
}, 300_000);

test('workers that are to be restored are started anew by the supervisor, once for an order', async () => {
  const database = openDatabase({ url: databaseUrl, name: 'test' });
  try {
    const before = place.pidOf('worker');
    const order = { process: 'control', do: 'restart-workers' } as const;
    await giveOrder(database, 'fix_1/0', order);
    await pollUntil(async () => ((await listAnswers(database, 'fix_1/0')).length > 0 ? true : undefined), 'an answer', 30_000);
    expect(await listAnswers(database, 'fix_1/0')).toMatchObject([{ failure: '' }]);
    const after = await pollUntil(
      () => {
        const worker = place.status().processes.find(({ name }) => name === 'worker');
        return worker?.state === 'running' && worker.pid !== before ? worker : undefined;
      },
      'another worker',
      60_000,
    );
    await giveOrder(database, 'fix_1/0', order);
    expect(place.pidOf('worker')).toBe(after.pid);
  } finally {
    await closeDatabase(database);
  }
}, 240_000);
