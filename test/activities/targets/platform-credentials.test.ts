import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startToolServer, type ToolServer } from '../../../bench/reconcile/platform-cases/tool-server.ts';
import { makePlan } from '../../../reconcile/make-plan.ts';
import { ruleCatalogue } from '../../../reconcile/rules/catalogue.ts';
import type { Operation } from '../../../schema/reconcile/operation.ts';
import { type BackendIssuer, backendClient, startBackendIssuer } from '../../support/backend-issuer.ts';
import { hashOf } from '../../support/memory-world.ts';
import { type PlatformTargetPlace, platformTargetPlace } from '../../support/platform-target-place.ts';
import { type ProtectedServer, startProtectedServer } from '../../support/protected-server.ts';
import { adminToken } from '../../support/running-gateway.ts';
import { type RunningPeople, startRunningPeople } from '../../support/running-people.ts';

let people: RunningPeople;
let issuer: BackendIssuer;
let tokens: ProtectedServer;
let keyed: ToolServer;
let folder: string;
let port: PlatformTargetPlace;
const [oldSecret, newSecret] = ['old-secret-of-the-desk-0123456789', 'new-secret-of-the-desk-9876543210'];
const keep = (value: string): void => writeFileSync(join(folder, 'desk-key'), value, { mode: 0o600 });

const declare = async (name: string, url: string, auth: object): Promise<void> => {
  await people.gateway.apply(
    { kind: 'McpServer', metadata: { name }, spec: { url, auth, timeoutSeconds: 5 } },
    { kind: 'Toolset', metadata: { name }, spec: { servers: [{ name }], naming: 'plain' } },
  );
  await people.gateway.ready(name);
};
const look = async (toolset: string): Promise<string> => {
  const { text } = await people.call(`/mcp/${toolset}`, adminToken, 'tools/call', { name: 'look', arguments: {} });
  return text;
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quarterdeck-secrets-'));
  people = await startRunningPeople({ environment: { BACKEND_SECRET: backendClient.secret } });
  issuer = await startBackendIssuer({ trusts: { issuerUrl: people.issuerUrl, jwksUri: people.jwksUri } });
  tokens = await startProtectedServer({ issuer: issuer.issuer, jwksUri: issuer.jwksUri });
  keyed = await startToolServer([{ name: 'look', description: 'Looks' }]);
  port = platformTargetPlace({ database: people.database, patience: { orderMs: 15_000 } }, ['servers']);
});
afterAll(async () => {
  await people.close();
  await tokens.close();
  keyed.close();
  issuer.close();
  await rm(folder, { recursive: true, force: true });
});

/** All that is kept or told of what went on: what processes say, what they were asked and answered, what is seen and audited. */
const everythingKept = async (): Promise<string> => {
  const tables = ['process_reports', 'process_orders', 'process_answers', 'audit_events', 'resources'];
  const rows = await Promise.all(tables.map((table) => people.database.execute(`select to_jsonb(t) as row from ${table} t`)));
  return JSON.stringify([rows.map((result) => result.rows), await port.look(), people.logLines]);
};

test('a token that a server has thrown away is replaced through its issuer, by the rule alone (G11)', async () => {
  await declare('vault', tokens.url, {
    kind: 'clientCredentials',
    issuer: issuer.issuer,
    client: { id: backendClient.id, secret: { env: 'BACKEND_SECRET' } },
  });
  expect(await look('vault')).toContain('of look');
  expect((await port.look()).drifts).toEqual([]);

  // the gateway holds a token that looks good for another minute, and the server says no more than 401
  Object.assign(tokens.state, { isMute: true });
  tokens.revokeSeen();
  expect(await look('vault')).toContain('server_unavailable');
  const drift = await port.driftOf('CredentialExpired');
  expect(drift).toMatchObject({ kind: 'unhealthy', object: { kind: 'McpServer', name: 'vault' } });
  expect(drift.symptoms.map(({ code }) => code)).toEqual(['CredentialExpired']);
  expect(drift.symptoms[0]?.message).toMatch(/The MCP server vault answers 401 to the credential that it is sent\.$/);

  const { observation } = await port.look();
  const seen = observation.objects.find(({ ref }) => ref.name === 'vault');
  const desired = await port.port.desired(port.target, AbortSignal.timeout(10_000));
  if (desired.status !== 'read') throw new Error(desired.message);
  const facts = { drift, observation, desired: desired.objects, declared: desired.objects[0], seen, earlier: [] };
  const rule = ruleCatalogue.find((each) => each.fix(facts) !== undefined);
  expect(rule).toMatchObject({ name: 'rotate-credential', mends: ['G11'], undone: 'Nothing is: the one before had run out.' });
  const operations = rule?.fix(facts) ?? [];
  expect(operations).toEqual([{ op: 'rotateCredential', object: drift.object }]);

  // what cannot be had back is said to be so where it is anybody's wish but the rule's
  const parts = { target: port.target, drift, operations, evidenceDigest: '', desired, observation, digest: hashOf };
  const ofRule = makePlan({ ...parts, source: { kind: 'rule', rule: 'rotate-credential' } });
  const ofModel = makePlan({ ...parts, source: { kind: 'model', role: 'diagnose', model: 'm', confidence: 1, diagnosis: 'd' } });
  expect(ofRule).toMatchObject({ ok: true, plan: { steps: [{ undo: { kind: 'nothing' } }] } });
  expect(ofModel).toMatchObject({ ok: true, plan: { steps: [{ undo: { kind: 'irreversible' } }] } });

  const operation = operations[0] as Operation;
  const context = await port.contextFor(operation);
  expect(await port.dryRun(operation)).toMatchObject({ ok: true, diff: [{ after: { do: 'renew-credential', server: 'vault' } }] });
  const askedBefore = issuer.seen.filter(({ path }) => path === '/token').length;
  expect(await port.apply(operation, context)).toMatchObject({ kind: 'applied' });
  const asked = issuer.seen.filter(({ path }) => path === '/token').length;
  expect(asked - askedBefore).toBe(1);
  expect((await port.look()).drifts).toEqual([]);
  expect(await look('vault')).toContain('of look');
  // once for one operation: the issuer is not asked again
  expect(await port.apply(operation, context)).toMatchObject({ kind: 'applied' });
  expect(issuer.seen.filter(({ path }) => path === '/token').length).toBe(asked);
});

test('a secret that was changed where it is kept is read again; where it was not, the fix fails and says who can help', async () => {
  keep(oldSecret);
  keyed.state.knows = (authorization) => authorization === `Bearer ${oldSecret}`;
  await declare('desk', keyed.keyedUrl, { kind: 'static', secret: { file: join(folder, 'desk-key') }, allowOpenWorld: true });
  expect(await look('desk')).toContain('done');
  keyed.state.knows = (authorization) => authorization === `Bearer ${newSecret}`;
  expect(await look('desk')).toContain('server_unavailable');
  const drift = await port.driftOf('CredentialExpired', 'desk');
  const operation: Operation = { op: 'rotateCredential', object: drift.object };
  const failed = await port.apply(operation);
  expect(failed).toMatchObject({ kind: 'failed', reason: 'refused', message: expect.stringContaining('asks for a credential (HTTP 401)') });
  // it is still seen, and no rule tries for ever: the rule's cap ends that
  expect((await port.look()).drifts).toMatchObject([{ symptoms: [{ code: 'CredentialExpired' }] }]);

  keep(newSecret);
  expect(await port.apply(operation)).toMatchObject({ kind: 'applied' });
  expect(await look('desk')).toContain('done');
  expect((await port.look()).drifts).toEqual([]);
  const kept = await everythingKept();
  for (const secret of [oldSecret, newSecret, backendClient.secret]) expect(kept).not.toContain(secret);
  for (const { headers } of tokens.seen) {
    const token = headers.authorization?.split(' ')[1];
    if (token) expect(kept).not.toContain(token);
  }
});

test('a server that is well is not given another credential, and neither is what is no server', async () => {
  const object = { apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'Toolset', namespace: '', name: 'desk' };
  expect(await port.dryRun({ op: 'rotateCredential', object })).toMatchObject({ ok: false, reason: 'invalid' });
});
