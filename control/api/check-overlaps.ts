import { declaredOf } from '../../activities/targets/kubernetes-manifests.ts';
import { isEqualJson } from '../../reconcile/json-pointer.ts';
import { objectKey, writeObjectRef } from '../../schema/reconcile/object-ref.ts';
import type { Resource } from '../../schema/resource.ts';
import type { TargetSpecOf } from '../../schema/resources/reconcile-target.ts';
import { keyOf } from './check-documents.ts';
import type { DocumentIssue } from './render-error.ts';

type Target = Extract<Resource, { kind: 'ReconcileTarget' }>;
type Issue = Pick<DocumentIssue, 'path' | 'message'>;

const isOfProject = (one: Target, other: Target): boolean => one.metadata.project === other.metadata.project;
/** Of another project no name is told to who may not read there. */
const nameOf = (other: Target, one: Target): string =>
  isOfProject(one, other) ? `the target \`${other.metadata.name}\`` : 'a target of another project';

const ofKubernetes = ({ metadata, spec }: Target) => {
  const { org, project, name } = metadata;
  const set = declaredOf({ org, project, name, generation: 0, spec: spec as TargetSpecOf<'kubernetes'> });
  return set.ok ? set.declared : [];
};

/** What two targets both keep; undefined where each has its own. */
const overlapOf = (one: Target, other: Target): Issue | undefined => {
  if (one.spec.type === 'platform' && other.spec.type === 'platform' && isOfProject(one, other)) {
    const { watch } = other.spec;
    const both = one.spec.watch.filter((item) => watch.includes(item));
    return both.length === 0
      ? undefined
      : {
          path: ['spec', 'watch'],
          message: `expected what no other target keeps; ${both.map((item) => `\`${item}\``).join(', ')} of this project ${both.length === 1 ? 'is' : 'are'} kept by the target \`${other.metadata.name}\`: two would undo each other's work`,
        };
  }
  if (one.spec.type !== 'kubernetes' || other.spec.type !== 'kubernetes') return undefined;
  if (!isEqualJson(one.spec.cluster ?? null, other.spec.cluster ?? null)) return undefined;
  const kept = new Set(ofKubernetes(other).map(({ ref }) => objectKey(ref)));
  const both = ofKubernetes(one).find(({ ref }) => kept.has(objectKey(ref)));
  return (
    both && {
      path: ['spec', 'manifests'],
      message: `expected objects that no other target keeps; ${writeObjectRef(both.ref)} is declared by ${nameOf(other, one)}: declare it in one of them`,
    }
  );
};

/**
 * Two targets that keep the same thing would take turns at it for ever, so the second one is refused: two `platform` targets of a project that
 * watch the same part, two `kubernetes` targets of an org that declare one object in the same cluster. Where clusters are named in two ways, or
 * kept by two installations, nobody can tell it here: they are found contested.
 * @param stored - all of the org, by `keyOf`; what is applied stands in place of what it replaces
 */
export const checkOverlaps = (resources: readonly Resource[], stored: ReadonlyMap<string, Resource>): DocumentIssue[] => {
  const isTarget = (resource: Resource): resource is Target => resource.kind === 'ReconcileTarget';
  const all = new Map([...stored].flatMap(([key, resource]) => (isTarget(resource) ? [[key, resource] as const] : [])));
  for (const resource of resources) if (isTarget(resource)) all.set(keyOf(resource.kind, resource.metadata), resource);
  return resources.flatMap((resource, document): DocumentIssue[] => {
    if (!isTarget(resource)) return [];
    const own = keyOf(resource.kind, resource.metadata);
    for (const [key, other] of all) {
      const found = key === own ? undefined : overlapOf(resource, other);
      if (found) return [{ document, ...found }];
    }
    return [];
  });
};
