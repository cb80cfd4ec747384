import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Operation } from '../../../schema/reconcile/operation.ts';
import { acceptDefinitions } from '../../../store/accept-definitions.ts';
import { listDefinitions } from '../../../store/definitions.ts';
import { findResource } from '../../../store/resources.ts';
import { addSigningKey } from '../../../store/signing-keys.ts';
import { startCountingServer } from '../../support/counting-server.ts';
import { type PlatformTargetPlace, platformTargetPlace } from '../../support/platform-target-place.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { guestToken, type RunningGateway, startRunningGateway } from '../../support/running-gateway.ts';

type CountingServer = Awaited<ReturnType<typeof startCountingServer>>;
const place = { org: 'default', project: 'default' };
const hourMs = 3_600_000;

let server: CountingServer;
let gateway: RunningGateway;
let port: PlatformTargetPlace;
const state = { now: 0 };

beforeAll(async () => {
  server = await startCountingServer();
  // it hears nothing by itself but what the database tells
  gateway = await startRunningGateway({ serverLookMs: hourMs, declaredPollMs: hourMs });
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url, timeoutSeconds: 5 } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
  );
  await gateway.ready('counting');
  port = platformTargetPlace(
    {
      database: gateway.database,
      now: () => new Date(Date.now() + state.now),
      patience: { staleListMs: 60_000, policiesMs: 1000, orderMs: 60_000 },
    },
    ['servers', 'toolsets', 'pins', 'policies'],
  );
});
afterAll(async () => {
  await gateway.close();
  await server.close();
});

const withDescription = (description: string) => {
  server.state.tools = server.state.tools.map((tool) => (tool.name === 'look' ? { ...tool, description } : tool));
};
const listed = async (toolset = 'counting', token?: string): Promise<string> => {
  const response = await fetch(`${gateway.publicUrl}/mcp/${toolset}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token ?? 'qd_test-admin-token-0123456789'}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} }),
  });
  return response.text();
};
const tool = { apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'Tool', namespace: 'counting', name: 'look' };
const countingServer = { ...tool, kind: 'McpServer', namespace: '', name: 'counting' };
const bundle = { ...tool, kind: 'PolicyBundle', namespace: '', name: 'default' };

/** The gateway hears of nothing by itself any more. */
const reload = async () => {
  const operation: Operation = { op: 'reloadPolicies', object: bundle };
  const context = await port.contextFor(operation, { precondition: { kind: 'none' } });
  expect(await port.apply(operation, context)).toMatchObject({ kind: 'applied' });
};

test('what is well has no drift', async () => {
  const { observation, drifts } = await port.look();
  expect(observation.objects.map(({ ref }) => ref.kind)).toEqual(expect.arrayContaining(['McpServer', 'Toolset', 'Tool', 'PolicyBundle']));
  expect(drifts).toEqual([]);
});

test('a list of tools that a gateway has not looked at for long is read again (G04), and what it finds is held against the pins', async () => {
  withDescription('Looks, and tells a stranger');
  expect((await port.look()).drifts).toEqual([]);
  state.now = 120_000;
  const drift = await port.driftOf('ToolListStale');
  expect(drift.object).toEqual(countingServer);
  state.now = 0;
  const operation: Operation = { op: 'refreshTools', object: drift.object };
  expect(await port.dryRun(operation)).toMatchObject({ ok: true, diff: [{ after: { do: 'look-again', server: 'counting' } }] });
  const context = await port.contextFor(operation);
  expect(await port.apply(operation, context)).toMatchObject({ kind: 'applied' });
  expect(await port.apply(operation, context)).toMatchObject({ kind: 'applied' });
  expect((await listDefinitions(gateway.database, { ...place, server: 'counting' })).find(({ name }) => name === 'look')).toMatchObject({
    currentDefinition: { description: 'Looks, and tells a stranger' },
  });
});

test('a changed definition is put under quarantine (G03): it stays hidden when its server goes back, until a person accepts it', async () => {
  const drift = await port.driftOf('DefinitionChanged');
  expect(drift).toMatchObject({ kind: 'unhealthy', object: tool });
  const operation: Operation = { op: 'quarantineTool', object: tool };
  const context = await port.contextFor(operation);
  const outcome = await port.apply(operation, context);
  expect(outcome).toMatchObject({ kind: 'applied' });
  expect(await port.apply(operation, context)).toMatchObject({ kind: 'unchanged' });
  expect((await port.look()).drifts).toEqual([]);

  withDescription('Looks');
  await port.apply({ op: 'refreshTools', object: countingServer });
  expect(await listed()).not.toContain('"look"');
  const row = (await listDefinitions(gateway.database, { ...place, server: 'counting' })).find(({ name }) => name === 'look');
  expect(row).toMatchObject({ currentHash: row?.approvedHash, quarantined: expect.stringContaining(context.operationId) });
  await acceptDefinitions(
    gateway.database,
    { ...place, server: 'counting' },
    { definitions: [{ kind: 'tool', name: 'look', currentHash: row?.currentHash ?? '' }], acceptIssues: false },
    'admin',
  );
  await pollUntil(async () => (await listed()).includes('"look"') || undefined, 'the accepted tool');
});

test('an undone quarantine is as it was', async () => {
  withDescription('Looks elsewhere');
  await port.apply({ op: 'refreshTools', object: countingServer });
  const operation: Operation = { op: 'quarantineTool', object: tool };
  await port.driftOf('DefinitionChanged');
  const context = await port.contextFor(operation);
  const outcome = await port.apply(operation, context);
  expect(await port.undo({ op: 'restore', object: tool, stateDigest: 'd' }, context, outcome)).toMatchObject({ kind: 'applied' });
  await port.driftOf('DefinitionChanged');
  withDescription('Looks');
  await port.apply({ op: 'refreshTools', object: countingServer });
  await port.without('DefinitionChanged');
});

describe('policies', () => {
  const binding = (name: string) => ({
    kind: 'AccessBinding',
    metadata: { name },
    spec: { subjects: [{ group: 'guests' }], toolsets: ['counting'] },
  });
  const deny =
    '@id("closed") @advice("Closed.")\nforbid (principal in Quarterdeck::Group::"default/guests", action == Quarterdeck::Action::"callTool", resource);';

  test('that a gateway did not hear of are loaded again (G06)', async () => {
    // the connection that tells it is lost, and it would look by itself in an hour
    await gateway.database.execute(
      sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query = 'listen quarterdeck_declared' and pid <> pg_backend_pid()`,
    );
    await gateway.apply(binding('guests'));
    const drift = await port.driftOf('PolicyMismatch');
    expect(drift.object).toEqual(bundle);
    expect(await listed('counting', guestToken)).not.toContain('"look"');
    const operation: Operation = { op: 'reloadPolicies', object: bundle };
    expect(await port.apply(operation)).toMatchObject({ kind: 'applied' });
    await port.without('PolicyMismatch');
    expect(await listed('counting', guestToken)).toContain('"look"');
  });

  test('that cannot be put into force are put back to the last good revision (G07), and nothing is ever opened', async () => {
    await gateway.apply({ kind: 'PolicySet', metadata: { name: 'rules' }, spec: { cedar: deny } });
    await reload();
    await pollUntil(async () => {
      const seen = (await port.look()).observation.objects.find(({ ref }) => ref.kind === 'PolicyBundle')?.state as {
        lastGood: string;
        version: string;
      };
      return seen.lastGood === seen.version || undefined;
    }, 'the revision to be kept');
    // written by somebody who went past the api
    await gateway.database.execute(
      sql`update resources set spec = jsonb_set(spec, '{cedar}', '"permit (principal, action"'), generation = generation + 1 where kind = 'PolicySet' and name = 'rules'`,
    );
    const drift = await port.driftOf('PolicyInvalid');
    expect(drift.object).toEqual(bundle);
    const seen = (await port.look()).observation.objects.find(({ ref }) => ref.kind === 'PolicyBundle');
    const lastGood = (seen?.state as { lastGood: string } | undefined)?.lastGood ?? '';
    const operation: Operation = { op: 'restorePolicies', object: bundle, revision: lastGood };
    expect(await port.dryRun(operation)).toMatchObject({
      ok: true,
      diff: [{ path: '/PolicySet/rules/cedar', before: 'permit (principal, action', after: deny }],
    });
    expect(await port.apply({ ...operation, revision: 'no-such-revision' })).toMatchObject({ kind: 'failed', reason: 'invalid' });
    const context = await port.contextFor(operation);
    const outcome = await port.apply(operation, context);
    expect(outcome).toMatchObject({ kind: 'applied' });
    expect(await port.apply(operation, context)).toMatchObject({ kind: 'unchanged' });
    await port.without('PolicyInvalid');
    // undone, the broken text is back, byte for byte
    expect(await port.undo({ op: 'restore', object: bundle, stateDigest: 'd' }, context, outcome)).toMatchObject({ kind: 'applied' });
    expect(await findResource(gateway.database, { ...place, kind: 'PolicySet', name: 'rules' })).toMatchObject({
      spec: { cedar: 'permit (principal, action' },
    });
    await port.apply(operation);
    await port.without('PolicyInvalid');
  });
});

test('two servers that give one name are told apart by their prefixes (G05), and back', async () => {
  const other = await startCountingServer();
  try {
    await gateway.apply(
      { kind: 'McpServer', metadata: { name: 'other' }, spec: { url: other.url, timeoutSeconds: 5 } },
      { kind: 'Toolset', metadata: { name: 'both' }, spec: { servers: [{ name: 'counting' }, { name: 'other' }], naming: 'plain' } },
    );
    // it hears of nothing any more, so it is told until it has looked at the new server
    await pollUntil(async () => {
      await reload();
      return (await port.look()).drifts.some(({ symptoms }) => symptoms.some(({ code }) => code === 'NameCollision')) || undefined;
    }, 'the collision');
    const drift = await port.driftOf('NameCollision');
    expect(drift.object).toMatchObject({ kind: 'Toolset', name: 'both' });
    const operation: Operation = { op: 'prefixNames', object: drift.object };
    expect(await port.dryRun(operation)).toMatchObject({ ok: true, diff: [{ path: '/spec/naming', before: 'plain', after: 'prefix' }] });
    const context = await port.contextFor(operation);
    const outcome = await port.apply(operation, context);
    expect(outcome).toMatchObject({ kind: 'applied' });
    await pollUntil(async () => {
      await reload();
      return (await listed('both')).includes('other__look') || undefined;
    }, 'names with prefixes');
    expect(await port.undo({ op: 'restore', object: drift.object, stateDigest: 'd' }, context, outcome)).toMatchObject({ kind: 'applied' });
    expect(await findResource(gateway.database, { ...place, kind: 'Toolset', name: 'both' })).toMatchObject({ spec: { naming: 'plain' } });
  } finally {
    await other.close();
  }
});

test('a route to a server that was given up is rebuilt (G01) as soon as the server is there again', async () => {
  await server.close();
  const rebuild: Operation = { op: 'rebuildRoute', object: countingServer };
  await port.apply({ op: 'refreshTools', object: countingServer });
  const drift = await port.driftOf('RouteBroken', 'counting');
  expect(drift.object).toEqual(countingServer);
  // nothing is there: the operation says so, and the fault stays
  expect(await port.apply(rebuild)).toMatchObject({ kind: 'failed', reason: 'refused' });
  server = await startCountingServer(server.port);
  expect(await port.apply(rebuild)).toMatchObject({ kind: 'applied' });
  const { drifts } = await port.look();
  expect(drifts.filter(({ object }) => object.name === 'counting')).toEqual([]);
});

test('keys of the issuer that a gateway lacks are fetched again (G08), and those it knows stay while the issuer is away', async () => {
  const keysPort = platformTargetPlace({ database: gateway.database, patience: { orderMs: 60_000 } }, ['keys']);
  const object = { ...bundle, kind: 'SigningKeys', name: 'issuer' };
  const refetch: Operation = { op: 'refetchKeys', object };
  expect(await keysPort.apply(refetch)).toMatchObject({ kind: 'applied' });
  expect((await keysPort.look()).drifts).toEqual([]);
  // the issuer signs with another key than the gateway has fetched
  await addSigningKey(gateway.database, { number: 1, kid: 'the-next-one', sealed: Buffer.alloc(8), signs: 'at-once' });
  expect((await keysPort.driftOf('KeysUnknown')).object).toEqual(object);
  gateway.issuer.kids = ['test', 'the-next-one'];
  expect(await keysPort.apply(refetch)).toMatchObject({ kind: 'applied' });
  await keysPort.without('KeysUnknown');
  gateway.issuer.kids = [];
  expect(await keysPort.apply(refetch)).toMatchObject({ kind: 'failed', reason: 'refused' });
  await keysPort.driftOf('KeysUnknown');
  gateway.issuer.kids = ['test', 'the-next-one'];
  expect(await keysPort.apply(refetch)).toMatchObject({ kind: 'applied' });
  await keysPort.without('KeysUnknown');
}, 60_000);

test('what a gateway has says nothing when no gateway is there: unknown, and nothing is missing', async () => {
  await gateway.stop();
  const observation = await port.port.observe(port.target, new AbortController().signal);
  expect(observation).toMatchObject({ status: 'unknown', reason: 'incomplete' });
  await gateway.restart().catch(() => undefined);
});
