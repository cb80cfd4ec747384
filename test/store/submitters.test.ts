import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { defaultTenancy } from '../../schema/ids.ts';
import { resourceSchemas } from '../../schema/resource.ts';
import { ReconcileRuleSpecSchema } from '../../schema/resources/reconcile-rule.ts';
import { ReconcileTargetSpecSchema } from '../../schema/resources/reconcile-target.ts';
import { closeDatabase, type Database, openDatabase } from '../../store/database.ts';
import { findSubmitters } from '../../store/find-submitters.ts';
import { submittersOfFix } from '../../store/fix-submitters.ts';
import { changeRule, insertDraft } from '../../store/reconcile-learning.ts';
import { applyResources, deleteResource } from '../../store/resources.ts';
import { planOf } from '../reconcile/support.ts';
import { declareShop } from '../support/ask-for-fix.ts';
import { startTestDatabase } from '../support/postgres.ts';

let own: Awaited<ReturnType<typeof startTestDatabase>>;
let database: Database;
beforeAll(async () => {
  own = await startTestDatabase();
  database = openDatabase({ url: own.url, name: 'test-submitters' });
});
afterAll(async () => {
  await closeDatabase(database);
  await own.close();
});

const api = { apiVersion: 'quarterdeck.dev/v1alpha1' } as const;
const of = (kind: 'ReconcileTarget' | 'ReconcileRule' | 'Toolset', name: string) =>
  findSubmitters(database, defaultTenancy, [{ kind, name }]);

test('everybody who declared a part of what is there now has submitted it, until it is deleted', async () => {
  await declareShop(database, 'one', 'cyd');
  await declareShop(database, 'one', 'ada', { intervalSeconds: 61 });
  await declareShop(database, 'one', 'bea', { intervalSeconds: 61 }); // the same again: nothing of it is Bea's
  expect(await of('ReconcileTarget', 'one')).toEqual(['ada', 'cyd']);
  await deleteResource(database, { ...defaultTenancy, kind: 'ReconcileTarget', name: 'one' });
  expect(await of('ReconcileTarget', 'one')).toEqual([]);
  await declareShop(database, 'one', 'bea');
  expect(await of('ReconcileTarget', 'one')).toEqual(['bea']);
});

test('of what was declared by a release that kept the last of them alone, that one is known, and stays', async () => {
  await declareShop(database, 'old', 'cyd');
  await database.execute(sql`UPDATE resources SET submitters = '{}' WHERE name = 'old'`);
  expect(await of('ReconcileTarget', 'old')).toEqual(['cyd']);
  await declareShop(database, 'old', 'ada', { intervalSeconds: 61 });
  expect(await of('ReconcileTarget', 'old')).toEqual(['ada', 'cyd']);
});

test('a draft is nobody’s, and a rule of whoever put it in force', async () => {
  const spec = ReconcileRuleSpecSchema.parse({
    ...{ state: 'draft', match: 'true', operations: [{ op: 'restart', object: { $drift: 'object' } }] },
  });
  const key = { ...defaultTenancy, name: 'drafted' };
  await insertDraft(database, key, spec);
  expect(await of('ReconcileRule', 'drafted')).toEqual([]);
  await changeRule(database, key, (now) => ({ ...now, state: 'live' }), 'rita');
  await changeRule(database, key, (now) => ({ ...now, state: 'demoted' }), null);
  expect(await of('ReconcileRule', 'drafted')).toEqual(['rita']);
});

test('of what goes through a toolset its writers count, and of the platform those of what is changed', async () => {
  const toolset = resourceSchemas.Toolset.parse({
    ...api,
    kind: 'Toolset',
    metadata: { name: 'ops' },
    spec: { servers: [{ name: 'lamp' }] },
  });
  const server = resourceSchemas.McpServer.parse({
    ...{ ...api, kind: 'McpServer', metadata: { name: 'lamp' } },
    spec: { url: 'http://127.0.0.1:9/mcp' },
  });
  await applyResources(database, [server], 'sam');
  await applyResources(database, [toolset], 'tom');
  await declareShop(database, 'shop', 'ada');
  const lamp = ReconcileTargetSpecSchema.parse({
    ...{ type: 'mcp', toolset: 'ops', role: 'switcher', desired: {} },
    observe: [{ name: 'lamp', tool: 'look' }],
  });
  const plan = planOf({ op: 'refreshTools', object: { ...api, kind: 'Toolset', namespace: '', name: 'ops' } });
  const written = { writers: ['ed'], plan: { ...plan, target: 'shop', source: { kind: 'rule' as const, rule: 'built-in' } } };
  expect(await submittersOfFix(database, written, lamp)).toEqual(['ada', 'ed', 'sam', 'tom']);
  expect(await submittersOfFix(database, written, ReconcileTargetSpecSchema.parse({ type: 'platform' }))).toEqual(['ada', 'ed', 'tom']);
});
