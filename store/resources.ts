import { and, asc, eq, sql } from 'drizzle-orm';
import { PlatformError } from '../schema/errors.ts';
import { isExactNumber } from '../schema/exact-json.ts';
import type { Tenancy } from '../schema/ids.ts';
import type { Kind, Resource, StoredResource } from '../schema/resource.ts';
import { apiVersion, type Condition, type Status } from '../schema/resources/metadata.ts';
import { resources } from '../schema/tables/tables.ts';
import { type Database, type Executor, guarded } from './database.ts';

type Row = typeof resources.$inferSelect;
type Key = Tenancy & { kind: Kind; name: string };
export type ApplyAction = 'created' | 'configured' | 'unchanged';

const toResource = (row: Row): StoredResource =>
  ({
    apiVersion,
    kind: row.kind,
    metadata: { name: row.name, org: row.org, project: row.project, labels: row.labels, annotations: row.annotations },
    spec: row.spec,
    status: row.status,
    uid: row.uid,
    generation: row.generation,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  }) as StoredResource;

const at = ({ org, project, kind, name }: Key) =>
  and(eq(resources.org, org), eq(resources.project, project), eq(resources.kind, kind), eq(resources.name, name));

/** JSON with its keys in order, so that two equal specs compare equal. */
export const canonicalJson = (value: unknown): string =>
  JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner) && !isExactNumber(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );

/** Says what an `apply` would do to a stored resource. */
export const compareResource = (stored: StoredResource | undefined, wanted: Resource): ApplyAction => {
  if (!stored) return 'created';
  const relevant = (resource: Resource) =>
    canonicalJson({ spec: resource.spec, labels: resource.metadata.labels, annotations: resource.metadata.annotations });
  return relevant(stored) === relevant(wanted) ? 'unchanged' : 'configured';
};

/**
 * Everybody who has declared a part of a resource. Nobody is ever taken out: whose lines a later text still has cannot be told from the text
 * (B who puts a line before A's list has then touched each of its elements), so what is wholly replaced is deleted and declared anew.
 * @param row.appliedBy - of a row that is older than `submitters`, the only one who is known
 * @param person - who declares it now
 */
export const submittersOf = ({ submitters, appliedBy }: Pick<Row, 'submitters' | 'appliedBy'>, person: string | null = null): string[] =>
  [...new Set([...submitters, ...[appliedBy, person].filter((one) => one !== null)])].sort();

/**
 * Applies several resources in one transaction: all or none. A changed spec gets the next generation.
 * @param appliedBy - the person who is from now on who declared what changed, and stays one of its submitters until it is deleted; null where
 *   it is nobody's doing
 */
export const applyResources = (
  database: Database,
  wanted: Resource[],
  appliedBy: string | null = null,
): Promise<{ resource: StoredResource; action: ApplyAction }[]> =>
  guarded(() =>
    database.transaction(async (transaction) => {
      const results: { resource: StoredResource; action: ApplyAction }[] = [];
      for (const resource of wanted) {
        const { org, project, name, labels, annotations } = resource.metadata;
        const key = at({ org, project, kind: resource.kind, name });
        const [existing] = await transaction.select().from(resources).where(key).for('update');
        const stored = existing && toResource(existing);
        const action = compareResource(stored, resource);
        if (action === 'unchanged' && stored) {
          results.push({ resource: stored, action });
          continue;
        }
        const specChanged = !stored || canonicalJson(stored.spec) !== canonicalJson(resource.spec);
        const status: Status = stored?.status ?? { observedGeneration: 0, conditions: [] };
        const [row] = existing
          ? await transaction
              .update(resources)
              .set({
                spec: resource.spec,
                labels,
                annotations,
                generation: existing.generation + (specChanged ? 1 : 0),
                ...(specChanged ? { appliedBy, submitters: submittersOf(existing, appliedBy) } : {}),
                updatedAt: sql`now()`,
              })
              .where(key)
              .returning()
          : await transaction
              .insert(resources)
              .values({
                ...{ org, project, kind: resource.kind, name, spec: resource.spec, labels, annotations, status, appliedBy },
                submitters: submittersOf({ submitters: [], appliedBy }),
              })
              .returning();
        if (!row)
          throw new PlatformError('conflict', `${resource.kind} ${name}: it was changed by somebody else at the same moment; apply again.`);
        results.push({ resource: toResource(row), action });
      }
      return results;
    }),
  );

export const findResource = <K extends Kind>(
  database: Executor,
  key: Tenancy & { kind: K; name: string },
): Promise<StoredResource<K> | undefined> =>
  guarded(async () => {
    const [row] = await database.select().from(resources).where(at(key));
    return row && (toResource(row) as StoredResource<K>);
  });

/** Who declared a resource as it is now; undefined where nobody is known, or there is no such resource. */
export const findApplier = (database: Executor, key: Key): Promise<string | undefined> =>
  guarded(async () => {
    const [row] = await database.select({ appliedBy: resources.appliedBy }).from(resources).where(at(key));
    return row?.appliedBy ?? undefined;
  });

/** Lists by what is given; all kinds of all projects of an org when only that is given. */
export const listResources = <K extends Kind = Kind>(
  database: Executor,
  { org, project, kind }: { org?: string; project?: string; kind?: K } = {},
): Promise<StoredResource<K>[]> =>
  guarded(async () => {
    const rows = await database
      .select()
      .from(resources)
      .where(
        and(
          org ? eq(resources.org, org) : undefined,
          project ? eq(resources.project, project) : undefined,
          kind ? eq(resources.kind, kind) : undefined,
        ),
      )
      .orderBy(asc(resources.org), asc(resources.project), asc(resources.kind), asc(resources.name));
    return rows.map((row) => toResource(row) as StoredResource<K>);
  });

/** @returns whether there was one */
export const deleteResource = (database: Executor, key: Key): Promise<boolean> =>
  guarded(async () => (await database.delete(resources).where(at(key)).returning({ name: resources.name })).length > 0);

/**
 * Writes a condition. `lastTransitionTime` moves only when the status changes; an older observation never overwrites a newer one.
 */
export const setCondition = (database: Database, key: Key, condition: Omit<Condition, 'lastTransitionTime'>, now: Date): Promise<void> =>
  guarded(() =>
    database.transaction(async (transaction) => {
      const [row] = await transaction.select({ status: resources.status }).from(resources).where(at(key)).for('update');
      if (!row) return;
      const status = row.status as Status;
      const previous = status.conditions.find((existing) => existing.type === condition.type);
      if (previous && previous.observedGeneration > condition.observedGeneration) return;
      const lastTransitionTime = previous?.status === condition.status ? previous.lastTransitionTime : now.toISOString();
      const next: Status = {
        observedGeneration: Math.max(status.observedGeneration, condition.observedGeneration),
        conditions: [...status.conditions.filter((existing) => existing.type !== condition.type), { ...condition, lastTransitionTime }],
      };
      if (canonicalJson(next) !== canonicalJson(status)) await transaction.update(resources).set({ status: next }).where(at(key));
    }),
  );
