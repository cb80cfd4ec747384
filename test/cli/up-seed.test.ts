import { afterAll, beforeAll, expect, test } from 'vitest';
import { seed } from '../../cli/up/seed.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { resourceSchemas } from '../../schema/resource.ts';
import { closeDatabase, type Database, openDatabase } from '../../store/database.ts';
import { findPersonByToken } from '../../store/people.ts';
import { applyResources, findResource } from '../../store/resources.ts';
import { startTestDatabase } from '../support/postgres.ts';

const tokenKey = 'key-of-this-installation-0123456789abcdef';
let url: string;
let database: Database;
let drop: () => Promise<void>;

beforeAll(async () => {
  ({ url, close: drop } = await startTestDatabase());
  database = openDatabase({ url, name: 'test' });
});
afterAll(async () => {
  await closeDatabase(database);
  await drop();
});

const whose = async (token: string | undefined) => (await findPersonByToken(database, token ?? '', new Date()))?.id;
const project = { ...defaultTenancy, kind: 'Project', name: 'default' } as const;

test('seeds two people in dev, one in solo, with the same tokens at each start of an installation', async () => {
  const dev = await seed(url, 'dev', tokenKey);
  expect(dev.adminToken).toMatch(/^qd_[\w-]{43}$/);
  expect([await whose(dev.adminToken), await whose(dev.reviewerToken)]).toEqual(['admin', 'reviewer']);
  const solo = await seed(url, 'solo', tokenKey);
  expect(Object.keys(solo)).toEqual(['adminToken']);
  expect(await whose(solo.adminToken)).toBe('admin');
  expect(solo.adminToken).toBe(dev.adminToken);
  expect(await whose(dev.reviewerToken)).toBeUndefined();
  expect(await seed(url, 'dev', tokenKey)).toEqual(dev);
  expect((await seed(url, 'dev', `${tokenKey}-of-another`)).adminToken).not.toBe(dev.adminToken);
  expect(await whose(dev.adminToken)).toBeUndefined();
});

test('gives nobody a token in production, and ends those of earlier starts', async () => {
  const { adminToken } = await seed(url, 'dev', tokenKey);
  expect(await seed(url, 'production', tokenKey)).toEqual({});
  expect(await whose(adminToken)).toBeUndefined();
});

test('makes the project `default`, and leaves it as people have declared it since', async () => {
  await seed(url, 'solo', tokenKey);
  const made = await findResource(database, project);
  expect(made?.spec.frozen).toBe(false);
  const { apiVersion, kind, metadata, spec } = made ?? {};
  await applyResources(database, [resourceSchemas.Project.parse({ apiVersion, kind, metadata, spec: { ...spec, frozen: true } })]);
  await seed(url, 'solo', tokenKey);
  expect(await findResource(database, project)).toMatchObject({ generation: 2, spec: { frozen: true } });
});
