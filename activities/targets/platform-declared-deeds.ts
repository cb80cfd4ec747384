import type { ObjectRef } from '../../schema/reconcile/object-ref.ts';
import type { Resource } from '../../schema/resource.ts';
import { ToolsetSpecSchema } from '../../schema/resources/toolset.ts';
import { loadDeclared } from '../../store/declared.ts';
import { keepRevision, listRevisions } from '../../store/policy-revisions.ts';
import { applyResources, deleteResource, findApplier, findResource } from '../../store/resources.ts';
import { type Change, type Deed, type PlatformContext, PlatformRefusal, type PlatformTarget } from './platform-context.ts';
import { digestOfSets, setsIn } from './platform-policies.ts';

/** Says which operation of ours wrote a resource last. */
export const operationAnnotation = 'quarterdeck.dev/operation';

/** Changes of what is declared: how a toolset names its tools, and PolicySets that are put back to a revision that was in force once. */
export const createDeclaredDeeds = ({ database }: PlatformContext) => {
  const placeOf = ({ org, project }: PlatformTarget) => ({ org, project });
  const ownerOf = (target: PlatformTarget) => findApplier(database, { ...placeOf(target), kind: 'ReconcileTarget', name: target.name });
  const apply = async (target: PlatformTarget, resources: Resource[], operationId: string): Promise<'done' | 'unchanged'> => {
    const marked = resources.map(
      (resource): Resource => ({
        ...resource,
        metadata: { ...resource.metadata, annotations: { ...resource.metadata.annotations, [operationAnnotation]: operationId } },
      }),
    );
    await applyResources(database, marked, (await ownerOf(target)) ?? null);
    return 'done';
  };

  const name = async (target: PlatformTarget, object: ObjectRef, naming: 'prefix' | 'plain'): Promise<Deed> => {
    const toolset = await findResource(database, { ...placeOf(target), kind: 'Toolset', name: object.name });
    if (!toolset) throw new PlatformRefusal('precondition', `There is no toolset ${object.name} by now.`);
    return {
      changes: [{ path: '/spec/naming', before: toolset.spec.naming, after: naming }],
      isBegun: async (operationId) => toolset.metadata.annotations[operationAnnotation] === operationId,
      run: async ({ operationId }) =>
        toolset.spec.naming === naming ? 'unchanged' : apply(target, [{ ...toolset, spec: { ...toolset.spec, naming } }], operationId),
    };
  };

  const putRevision = async (target: PlatformTarget, revision: string): Promise<Deed> => {
    const place = placeOf(target);
    const declared = await loadDeclared(database);
    if (declared.publishedPolicies(place))
      throw new PlatformRefusal('refused', 'The policies of this project are published: a person publishes the last good ones again.');
    const found = (await listRevisions(database, place)).find((one) => one.revision === revision);
    if (!found) throw new PlatformRefusal('invalid', `There is no revision ${revision} of the policies of ${place.project}.`);
    const now = setsIn(declared, place);
    const wanted = new Map(found.policySets.map((set) => [set.name, set.spec]));
    const gone = now.filter((set) => !wanted.has(set.name));
    const names = [...new Set([...now.map((set) => set.name), ...wanted.keys()])].sort();
    const cedarOf = (spec: { cedar: string } | undefined) => spec?.cedar;
    const changes = names.flatMap((set): Change[] => {
      const [before, after] = [cedarOf(now.find((one) => one.name === set)?.spec), cedarOf(wanted.get(set))];
      if (before === after) return [];
      return [{ path: `/PolicySet/${set}/cedar`, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) }];
    });
    return {
      changes,
      isBegun: async (operationId) =>
        declared.list('PolicySet', place).some(({ metadata }) => metadata.annotations[operationAnnotation] === operationId),
      run: async ({ operationId }) => {
        if (digestOfSets(now) === digestOfSets(found.policySets)) return 'unchanged';
        // so that what is replaced can be had back, however broken it is
        await keepRevision(database, place, { revision: digestOfSets(now), policySets: now }, { isGood: false });
        const resources = found.policySets.map(({ name: set, spec }): Resource => {
          const { labels = {}, annotations = {} } = declared.find('PolicySet', place, set)?.metadata ?? {};
          return {
            apiVersion: 'quarterdeck.dev/v1alpha1',
            kind: 'PolicySet',
            metadata: { ...place, name: set, labels, annotations },
            spec,
          };
        });
        await apply(target, resources, operationId);
        for (const set of gone) await deleteResource(database, { ...place, kind: 'PolicySet', name: set.name });
        return 'done';
      },
    };
  };

  return {
    prefixNames: (target: PlatformTarget, object: ObjectRef): Promise<Deed> => name(target, object, 'prefix'),
    restorePolicies: (target: PlatformTarget, revision: string): Promise<Deed> => putRevision(target, revision),
    /** @param state - how it was seen before */
    restore: (target: PlatformTarget, object: ObjectRef, state: unknown): Promise<Deed> => {
      const kept = (state ?? {}) as { naming?: unknown; declared?: unknown };
      const naming = ToolsetSpecSchema.shape.naming.safeParse(kept.naming);
      if (object.kind === 'Toolset' && kept.naming !== undefined && naming.success) return name(target, object, naming.data);
      if (object.kind === 'PolicyBundle' && typeof kept.declared === 'string') return putRevision(target, kept.declared);
      throw new PlatformRefusal('invalid', 'What is kept does not say how it was.');
    },
  };
};
