import { expect, test } from 'vitest';
import type { DefinitionKind } from '../../schema/definition.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { acceptDefinitions, pinStateOf } from '../../store/accept-definitions.ts';
import type { ObservedDefinition, ObservedDefinitions } from '../../store/definition.ts';
import { deleteDefinitions, isUsable, listDefinitions, recordDefinitions } from '../../store/definitions.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();

const observed = (name: string, hash: string, changes: Partial<ObservedDefinition> = {}): ObservedDefinition => ({
  name,
  hash,
  definition: { name, version: hash },
  readOnly: true,
  destructive: false,
  idempotent: true,
  openWorld: false,
  issues: [],
  warnings: [],
  ...changes,
});
const tools = (hashes: Record<string, string>) => Object.entries(hashes).map(([name, hash]) => observed(name, hash));
const record = (server: string, generation: number, offered: ObservedDefinitions, approvesFirstSight = true) =>
  recordDefinitions(database(), { ...defaultTenancy, server, generation }, offered, { approvesFirstSight });
const rowsOf = (server: string) => listDefinitions(database(), { ...defaultTenancy, server });
const hashesOf = async (server: string) =>
  Object.fromEntries((await rowsOf(server)).map((row) => [row.name, [row.approvedHash, row.currentHash]]));
const statesOf = async (server: string) => Object.fromEntries((await rowsOf(server)).map((row) => [row.name, pinStateOf(row)]));
const accept = (server: string, name: string, currentHash: string, { acceptIssues = false, kind = 'tool' as DefinitionKind } = {}) =>
  database().transaction((transaction) =>
    acceptDefinitions(transaction, { ...defaultTenancy, server }, { definitions: [{ kind, name, currentHash }], acceptIssues }, 'reviewer'),
  );

test('approves what a server offers at the first look, and nothing that comes later', async () => {
  await record('late', 1, { tool: tools({ read: 'h1' }) });
  await record('late', 1, { tool: tools({ read: 'h1', write: 'h2' }) });
  expect(await hashesOf('late')).toEqual({ read: ['h1', 'h1'], write: ['', 'h2'] });
  expect(await statesOf('late')).toEqual({ read: 'approved', write: 'new' });
});

test('what a server begins to offer after a first look at nothing waits too, and so does a kind that it had not', async () => {
  await record('empty', 1, { tool: [], prompt: [] });
  await record('empty', 1, { tool: tools({ read: 'h1' }), prompt: [observed('ask', 'p1')], template: [observed('file:///{path}', 't1')] });
  expect(await statesOf('empty')).toEqual({ read: 'new', ask: 'new', 'file:///{path}': 'approved' });
});

test('keeps the pinned definition of a tool that changed, and shows what it changed to', async () => {
  await record('changed', 1, { tool: tools({ read: 'h1' }) });
  await record('changed', 1, { tool: [observed('read', 'h9', { readOnly: false })] });
  expect(await hashesOf('changed')).toEqual({ read: ['h1', 'h9'] });
  const [row] = await rowsOf('changed');
  expect(row).toMatchObject({
    definition: { name: 'read', version: 'h1' },
    currentDefinition: { name: 'read', version: 'h9' },
    readOnly: true,
  });
  expect(row && isUsable(row)).toBe(false);
  await record('changed', 1, { tool: tools({ read: 'h1' }) });
  expect(await rowsOf('changed')).toMatchObject([{ approvedHash: 'h1', currentHash: 'h1', currentDefinition: null }]);
});

test('a tool that is no longer offered has no current definition; one that was never approved is forgotten', async () => {
  await record('gone', 1, { tool: tools({ read: 'h1', write: 'h2' }) });
  await record('gone', 1, { tool: tools({ read: 'h1', write: 'h2', late: 'h3' }) });
  await record('gone', 1, { tool: tools({ read: 'h1' }) });
  expect(await hashesOf('gone')).toEqual({ read: ['h1', 'h1'], write: ['h2', ''] });
  expect(await statesOf('gone')).toEqual({ read: 'approved', write: 'gone' });
});

test('a kind that gave no answer stays as it is', async () => {
  await record('partly', 1, { tool: tools({ read: 'h1' }), prompt: [observed('ask', 'p1')] });
  await record('partly', 1, { tool: tools({ read: 'h1' }) });
  expect(await statesOf('partly')).toEqual({ ask: 'approved', read: 'approved' });
});

test('a new generation of the server approves anew what has no issues, and an older one changes nothing any more', async () => {
  await record('again', 1, { tool: tools({ read: 'h1', old: 'h5' }) });
  await record('again', 1, { tool: tools({ read: 'h9', write: 'h2', old: 'h5' }) });
  await record('again', 2, { tool: [...tools({ read: 'h9', write: 'h2' }), observed('odd', 'h3', { issues: ['hidden'] })] });
  const now = { odd: ['', 'h3'], read: ['h9', 'h9'], write: ['h2', 'h2'] };
  expect(await hashesOf('again')).toEqual(now);
  await record('again', 1, { tool: tools({ read: 'h1' }) });
  expect(await hashesOf('again')).toEqual(now);
});

test('in production everything waits for a person, also after a new generation', async () => {
  await record('strict', 1, { tool: tools({ read: 'h1' }) }, false);
  expect(await statesOf('strict')).toEqual({ read: 'pending' });
  await accept('strict', 'read', 'h1');
  expect(await rowsOf('strict')).toMatchObject([{ approvedHash: 'h1', approvedBy: 'reviewer' }]);
  await record('strict', 2, { tool: tools({ read: 'h2', write: 'h3' }) }, false);
  expect(await statesOf('strict')).toEqual({ read: 'changed', write: 'pending' });
});

test('accepts exactly what the person saw: its bytes, its hints, its name in the row', async () => {
  await record('accept', 1, { tool: tools({ read: 'h1' }) });
  await record('accept', 1, { tool: [observed('read', 'h2', { definition: { name: 'read', annotations: { readOnlyHint: false } } })] });
  await expect(accept('accept', 'read', 'h1')).rejects.toMatchObject({ code: 'conflict' });
  await record('accept', 1, { tool: [observed('read', 'h3', { definition: { name: 'read', annotations: { readOnlyHint: false } } })] });
  await expect(accept('accept', 'read', 'h2')).rejects.toMatchObject({ code: 'conflict' });
  expect(await accept('accept', 'read', 'h3')).toEqual([{ kind: 'tool', name: 'read', before: 'h1', after: 'h3', issues: [] }]);
  expect(await rowsOf('accept')).toMatchObject([
    {
      definition: { annotations: { readOnlyHint: false } },
      currentDefinition: null,
      approvedHash: 'h3',
      readOnly: false,
      destructive: true,
      approvedBy: 'reviewer',
    },
  ]);
  await expect(accept('accept', 'read', 'h3')).rejects.toMatchObject({ code: 'conflict' });
  await expect(accept('accept', 'nothing', 'h3')).rejects.toMatchObject({ code: 'not_found' });
});

test('accepts what has issues only from who says so, and never by itself', async () => {
  const odd = observed('odd', 'h1', { issues: ['hidden characters in description: \\u{E0041}'] });
  await record('odd', 1, { tool: [odd] });
  expect(await statesOf('odd')).toEqual({ odd: 'pending' });
  await expect(accept('odd', 'odd', 'h1')).rejects.toMatchObject({ code: 'definition_suspicious' });
  await accept('odd', 'odd', 'h1', { acceptIssues: true });
  await record('odd', 2, { tool: [odd] });
  expect(await statesOf('odd')).toEqual({ odd: 'approved' });
});

test('accepting what is gone lets the pin go; of several, all are accepted or none', async () => {
  await record('several', 1, { tool: tools({ a: 'h1', b: 'h2' }) });
  await record('several', 1, { tool: tools({ b: 'h9' }) });
  const both = (hash: string) =>
    database().transaction((transaction) =>
      acceptDefinitions(
        transaction,
        { ...defaultTenancy, server: 'several' },
        {
          definitions: [
            { kind: 'tool', name: 'a', currentHash: '' },
            { kind: 'tool', name: 'b', currentHash: hash },
          ],
          acceptIssues: false,
        },
        'reviewer',
      ),
    );
  await expect(both('h8')).rejects.toMatchObject({ code: 'conflict' });
  expect(await statesOf('several')).toEqual({ a: 'gone', b: 'changed' });
  await both('h9');
  expect(await statesOf('several')).toEqual({ b: 'approved' });
});

test('keeps the order of the fields, and text that is no plain JSON of Postgres', async () => {
  const definition = { z: 1, a: 'x\u0000y \ud800', m: [1, 2] };
  await record('bytes', 1, { tool: [observed('odd', 'h1', { definition })] });
  const [row] = await rowsOf('bytes');
  expect(JSON.stringify(row?.definition)).toBe(JSON.stringify(definition));
});

test('writes nothing when nothing changed', async () => {
  await record('quiet', 1, { tool: tools({ read: 'h1' }), prompt: [] });
  const stamp = () =>
    database()
      .$client.query("select max(updated_at)::text, max(xmin::text) as version from definitions where server = 'quiet'")
      .then(({ rows }) => rows[0]);
  const before = await stamp();
  await record('quiet', 1, { tool: tools({ read: 'h1' }), prompt: [] });
  expect(await stamp()).toEqual(before);
});

test('forgets a server with all that is pinned of it, and no other', async () => {
  await record('x', 1, { tool: tools({ read: 'h1' }) });
  await record('y', 1, { tool: tools({ read: 'h1' }) });
  await deleteDefinitions(database(), { ...defaultTenancy, server: 'x' });
  expect([await hashesOf('x'), await hashesOf('y')]).toEqual([{}, { read: ['h1', 'h1'] }]);
  await record('x', 1, { tool: tools({ write: 'h1' }) });
  expect(await statesOf('x')).toEqual({ write: 'approved' });
});

test('says to all who listen that something is in force now', async () => {
  await record('told', 1, { tool: tools({ read: 'h1' }) }, false);
  const client = await database().$client.connect();
  try {
    await client.query('listen quarterdeck_declared');
    const told = new Promise((resolve) => client.on('notification', resolve));
    await accept('told', 'read', 'h1');
    await told;
  } finally {
    client.release(true);
  }
});
