import { expect, test } from 'vitest';
import { checkMeaning } from '../../control/api/check-meaning.ts';
import { resourceSchemas } from '../../schema/resource.ts';
import { validateResource } from '../../schema/validate-resource.ts';

const target = (spec: object) =>
  resourceSchemas.ReconcileTarget.parse({
    ...{ apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'ReconcileTarget', metadata: { name: 'shop' } },
    spec,
  });
const settings = (more: object = {}) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings', ...more } });
const kubernetes = (...manifests: object[]) => target({ type: 'kubernetes', namespace: 'shop', manifests });

test('a target is taken, and is refused for what its system could never keep', () => {
  expect(checkMeaning(kubernetes(settings()))).toEqual([]);
  expect(checkMeaning(kubernetes(settings(), settings()))).toMatchObject([
    { message: expect.stringContaining('ConfigMap/shop/settings is declared twice') },
  ]);
  expect(checkMeaning(kubernetes(settings({ namespace: 'other' })))).toMatchObject([
    { message: expect.stringContaining("outside the target's namespaces") },
  ]);
  expect(checkMeaning(kubernetes(settings({ uid: 'u' })))).toMatchObject([
    { path: ['spec', 'manifests'], message: expect.stringContaining('copied out of a cluster') },
  ]);
  const parsed = validateResource(JSON.parse(JSON.stringify(kubernetes(settings()))));
  expect(parsed.ok, 'the kind is not refused by name any more').toBe(true);
});

test('what an mcp target declares has to be seen by one of its observations', () => {
  const mcp = (more: object) =>
    target({ type: 'mcp', toolset: 't', role: 'r', observe: [{ name: 'queue', tool: 'read' }], desired: { queue: 1 }, ...more });
  expect(checkMeaning(mcp({}))).toEqual([]);
  expect(checkMeaning(mcp({ desired: { stock: 1 } }))).toMatchObject([{ path: ['spec', 'desired', 'stock'] }]);
  const act = { name: 'drain', of: 'stock', apply: { tool: 'drain' } };
  expect(checkMeaning(mcp({ actions: [act] }))).toMatchObject([{ path: ['spec', 'actions', 0, 'of'] }]);
  expect(
    checkMeaning(
      mcp({
        observe: [
          { name: 'queue', tool: 'a' },
          { name: 'queue', tool: 'b' },
        ],
      }),
    ),
  ).toMatchObject([{ path: ['spec', 'observe', 1, 'name'] }]);
});
