import { ruleCatalogue } from '../../reconcile/rules/catalogue.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { ShownRule } from '../../schema/reconcile/requests.ts';
import type { StoredResource } from '../../schema/resource.ts';
import type { Database } from '../../store/database.ts';
import { listResources } from '../../store/resources.ts';

const builtIn = (): ShownRule[] =>
  ruleCatalogue.map(({ name, description, cap }) => ({
    ...{ name, description, cap, origin: 'built-in', state: 'live', match: '', operations: [], targets: null },
  }));

/** The rules of a project in the order in which they are tried: those that its people wrote, then the built-in ones. */
export const listShownRules = async (database: Database, place: Tenancy): Promise<ShownRule[]> => {
  const declared = (await listResources(database, { ...place, kind: 'ReconcileRule' })) as StoredResource<'ReconcileRule'>[];
  const written = declared
    .toSorted((one, other) => (one.metadata.name < other.metadata.name ? -1 : 1))
    .map(({ metadata: { name }, spec: { state, description = '', cap, match, operations, targets } }): ShownRule => {
      const shown = operations as ShownRule['operations'];
      return { name, origin: 'declared', state, description, cap, match, operations: shown, targets: targets ?? null };
    });
  return [...written, ...builtIn()];
};
