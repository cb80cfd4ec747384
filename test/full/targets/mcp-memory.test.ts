import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { observationRef } from '../../../activities/targets/mcp-observe.ts';
import { freePort } from '../../../bench/gateway/free-port.ts';
import { diffTarget } from '../../../reconcile/diff-target.ts';
import { startHost } from '../../../runtime/host/start-host.ts';
import type { Operation } from '../../../schema/reconcile/operation.ts';
import { type McpTargetPlace, startMcpTargetPlace } from '../../support/mcp-target-place.ts';

const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-memory-'));
let host: { port: number; close(): Promise<void> };
let place: McpTargetPlace;

beforeAll(async () => {
  const hostPort = await freePort();
  host = await startHost({
    port: hostPort,
    key: 'host-key',
    allowUncaged: false,
    packageRoot: fileURLToPath(new URL('../../../', import.meta.url)),
    nodePath: process.execPath,
    logDirectory: join(folder, 'logs'),
  });
  place = await startMcpTargetPlace(
    { package: { npm: '@modelcontextprotocol/server-memory' }, env: { MEMORY_FILE_PATH: '/tmp/memory.jsonl' } },
    { gateway: { hostUrl: `http://127.0.0.1:${hostPort}`, hostKey: 'host-key' } },
  );
});
afterAll(async () => {
  await place.close();
  await host.close();
  rmSync(folder, { recursive: true, force: true });
});

const { signal } = new AbortController();
const object = observationRef('team');

test('a graph in the public memory server is brought to what was declared and back, by its own tools', async () => {
  const entity = { name: 'Ada', entityType: 'person', observations: ['writes notes'] };
  const target = place.targetOf({
    observe: [{ name: 'team', tool: 'search_nodes', arguments: { query: 'Ada' } }],
    desired: { team: { entities: [entity] } },
    actions: [
      {
        name: 'add',
        of: 'team',
        apply: { tool: 'create_entities', arguments: { entities: { $desired: '/entities' } } },
        undo: { tool: 'delete_entities', arguments: { entityNames: ['Ada'] } },
      },
    ],
  });
  const look = async () => {
    const observation = await place.port.observe(target, signal);
    if (observation.status !== 'read') throw new Error(observation.message);
    const { drifts } = diffTarget({ target, desired: await place.port.desired(target, signal), observation, holds: [], now: 0 });
    return { seen: observation.objects[0], drifts };
  };
  const before = await look();
  expect(before.drifts).toMatchObject([{ kind: 'changed', object, fields: [{ path: '/entities/0' }] }]);
  const { version = '', hash = '', uid = '' } = before.seen ?? {};
  const context = { holdsFence: async () => true, readState: async () => before.seen?.state, signal };
  const add: Operation = { op: 'act', object, action: 'add' };
  const outcome = await place.port.apply(target, add, {
    ...{ ...context, operationId: 'fix_1/0' },
    precondition: { kind: 'version', version, hash, uid },
  });
  expect(outcome).toMatchObject({ kind: 'applied' });
  expect((await look()).drifts).toEqual([]);
  if (outcome.kind !== 'applied') return;
  const undo: Operation = { op: 'undoAct', object, action: 'add', stateDigest: 'd' };
  const precondition = { kind: 'version' as const, version: outcome.version, hash: outcome.hash, uid: outcome.uid };
  expect(await place.port.apply(target, undo, { ...context, operationId: 'fix_1/0/undo', precondition })).toMatchObject({
    kind: 'applied',
  });
  expect((await look()).seen?.hash).toBe(before.seen?.hash);
});
