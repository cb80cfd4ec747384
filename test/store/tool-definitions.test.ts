import { expect, test } from 'vitest';
import { defaultTenancy } from '../../schema/ids.ts';
import { deleteToolDefinitions, listToolDefinitions, recordToolDefinitions } from '../../store/tool-definitions.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
const observed = (name: string, hash: string) => ({
  name,
  hash,
  definition: { name, version: hash },
  readOnly: true,
  destructive: false,
  idempotent: true,
  openWorld: false,
});
const record = (server: string, generation: number, tools: Record<string, string>) =>
  recordToolDefinitions(
    database(),
    { ...defaultTenancy, server, generation },
    Object.entries(tools).map(([name, hash]) => observed(name, hash)),
  );
const hashesOf = async (server: string) =>
  Object.fromEntries(
    (await listToolDefinitions(database()))
      .filter((tool) => tool.server === server)
      .map((tool) => [tool.name, [tool.approvedHash, tool.currentHash]]),
  );

test('approves what a server offers at the first look, and nothing that comes later', async () => {
  await record('late', 1, { read: 'h1' });
  await record('late', 1, { read: 'h1', write: 'h2' });
  expect(await hashesOf('late')).toEqual({ read: ['h1', 'h1'], write: ['', 'h2'] });
});

test('keeps the pinned definition of a tool that changed, and shows that it did', async () => {
  await record('changed', 1, { read: 'h1' });
  await record('changed', 1, { read: 'h9' });
  expect(await hashesOf('changed')).toEqual({ read: ['h1', 'h9'] });
  const [tool] = (await listToolDefinitions(database())).filter(({ server }) => server === 'changed');
  expect(tool?.definition).toEqual({ name: 'read', version: 'h1' });
  await record('changed', 1, { read: 'h1' });
  expect(await hashesOf('changed')).toEqual({ read: ['h1', 'h1'] });
});

test('a tool that is no longer offered has no current definition', async () => {
  await record('gone', 1, { read: 'h1', write: 'h2' });
  await record('gone', 1, { read: 'h1' });
  expect(await hashesOf('gone')).toEqual({ read: ['h1', 'h1'], write: ['h2', ''] });
});

test('a new generation of the server approves anew', async () => {
  await record('again', 1, { read: 'h1' });
  await record('again', 1, { read: 'h9', write: 'h2' });
  await record('again', 2, { read: 'h9', write: 'h2' });
  expect(await hashesOf('again')).toEqual({ read: ['h9', 'h9'], write: ['h2', 'h2'] });
});

test('forgets a server with its tools, and no other', async () => {
  await record('x', 1, { read: 'h1' });
  await record('y', 1, { read: 'h1' });
  await deleteToolDefinitions(database(), { ...defaultTenancy, server: 'x' });
  expect([await hashesOf('x'), await hashesOf('y')]).toEqual([{}, { read: ['h1', 'h1'] }]);
});
