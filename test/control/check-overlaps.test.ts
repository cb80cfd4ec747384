import { expect, test } from 'vitest';
import { keyOf } from '../../control/api/check-documents.ts';
import { checkOverlaps } from '../../control/api/check-overlaps.ts';
import { type Resource, resourceSchemas } from '../../schema/resource.ts';

const target = (name: string, spec: object, project = 'default'): Resource =>
  resourceSchemas.ReconcileTarget.parse({
    ...{ apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'ReconcileTarget', metadata: { name, project } },
    spec,
  });
const storedOf = (...resources: Resource[]) => new Map(resources.map((one) => [keyOf(one.kind, one.metadata), one]));
const platform = (name: string, watch?: string[], project?: string) =>
  target(name, { type: 'platform', ...(watch ? { watch } : {}) }, project);
const web = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' } };
const kubernetes = (name: string, manifests: object[], more: object = {}, project?: string) =>
  target(name, { type: 'kubernetes', namespace: 'shop', manifests, ...more }, project);

test('a second platform target of a project is refused for what the first keeps, and taken for the rest', () => {
  const first = storedOf(platform('all'));
  expect(checkOverlaps([platform('more', ['keys'])], first)).toEqual([
    {
      document: 0,
      path: ['spec', 'watch'],
      message: "expected what no other target keeps; `keys` of this project is kept by the target `all`: two would undo each other's work",
    },
  ]);
  expect(checkOverlaps([platform('all', ['keys'])], first), 'itself, changed').toEqual([]);
  expect(checkOverlaps([platform('all', ['servers', 'pins']), platform('more', ['keys'])], first), 'the first gives it up').toEqual([]);
  expect(checkOverlaps([platform('all', undefined, 'desk')], first), 'of another project').toEqual([]);
  expect(checkOverlaps([platform('one'), platform('two')], new Map())).toMatchObject([{ document: 0 }, { document: 1 }]);
});

test('two kubernetes targets of one cluster do not keep one object', () => {
  const first = storedOf(kubernetes('shop', [web]));
  expect(checkOverlaps([kubernetes('other', [{ ...web, apiVersion: 'apps/v1' }])], first)).toMatchObject([
    { path: ['spec', 'manifests'], message: expect.stringContaining('Deployment/shop/web is declared by the target `shop`') },
  ]);
  const [foreign] = checkOverlaps([kubernetes('other', [web], {}, 'desk')], first);
  expect(foreign?.message).toContain('a target of another project');
  expect(foreign?.message).not.toContain('`shop`');
  expect(checkOverlaps([kubernetes('other', [web], { namespace: 'bank' })], first)).toEqual([]);
  const elsewhere = { cluster: { kubeconfig: { file: '/run/secrets/other.kubeconfig' } } };
  expect(checkOverlaps([kubernetes('other', [web], elsewhere)], first)).toEqual([]);
  // moved from one to the other by one apply
  const settings = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' } };
  expect(checkOverlaps([kubernetes('shop', [settings]), kubernetes('other', [web])], first)).toEqual([]);
});
