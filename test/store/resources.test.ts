import { expect, test } from 'vitest';
import { defaultTenancy } from '../../schema/ids.ts';
import { type Resource, resourceSchemas } from '../../schema/resource.ts';
import { apiVersion } from '../../schema/resources/metadata.ts';
import { applyResources, deleteResource, findResource, listResources, setCondition } from '../../store/resources.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
const project = (name: string, spec: object = {}, labels: Record<string, string> = {}): Resource =>
  resourceSchemas.Project.parse({ apiVersion, kind: 'Project', metadata: { name, org: 'default', project: name, labels }, spec });
const keyOf = (name: string) => ({ org: 'default', project: name, kind: 'Project' as const, name });
const at = (second: number): Date => new Date(Date.UTC(2026, 0, 1, 0, 0, second));

test('counts a generation for each change of the spec, and none for labels or for nothing', async () => {
  const actions = [];
  for (const wanted of [project('a'), project('a'), project('a', {}, { team: 'x' }), project('a', { frozen: true }, { team: 'x' })]) {
    const [result] = await applyResources(database(), [wanted]);
    actions.push([result?.action, result?.resource.generation]);
  }
  expect(actions).toEqual([
    ['created', 1],
    ['unchanged', 1],
    ['configured', 1],
    ['configured', 2],
  ]);
});

test('applies all or none', async () => {
  const broken = { ...project('c'), kind: null } as unknown as Resource;
  await expect(applyResources(database(), [project('b'), broken])).rejects.toMatchObject({ code: 'internal' });
  expect(await findResource(database(), keyOf('b'))).toBeUndefined();
});

test('gives one resource to many that make it at once', async () => {
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => applyResources(database(), [project('race')])));
  const created = results.filter((result) => result.status === 'fulfilled' && result.value[0]?.action === 'created');
  expect(created).toHaveLength(1);
  expect((await listResources(database(), { project: 'race' })).length).toBe(1);
});

test('moves the time of a condition only when its status changes, and takes no older observation', async () => {
  await applyResources(database(), [project('d')]);
  const set = (status: 'True' | 'False', observedGeneration: number, second: number) =>
    setCondition(database(), keyOf('d'), { type: 'Ready', status, reason: 'R', message: `at ${second}`, observedGeneration }, at(second));
  await set('False', 1, 1);
  await set('False', 1, 2);
  await set('True', 3, 3);
  await set('False', 2, 4);
  const found = await findResource(database(), keyOf('d'));
  expect(found?.status).toEqual({
    observedGeneration: 3,
    conditions: [
      { type: 'Ready', status: 'True', reason: 'R', message: 'at 3', observedGeneration: 3, lastTransitionTime: at(3).toISOString() },
    ],
  });
});

test('says whether there was something to delete', async () => {
  await applyResources(database(), [project('e')]);
  expect(await deleteResource(database(), keyOf('e'))).toBe(true);
  expect(await deleteResource(database(), keyOf('e'))).toBe(false);
});

test('keeps tenants apart', async () => {
  await applyResources(database(), [project('f')]);
  expect(await findResource(database(), { ...defaultTenancy, kind: 'Project', name: 'f' })).toBeUndefined();
  expect(await listResources(database(), { org: 'other' })).toEqual([]);
});
