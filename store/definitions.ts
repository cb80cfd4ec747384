import { and, eq, sql } from 'drizzle-orm';
import type { Tenancy } from '../schema/ids.ts';
import { definitionSights, definitions } from '../schema/tables/tables.ts';
import { type Database, type Executor, guarded } from './database.ts';
import type { Definition, ObservedDefinitions, ServerKey } from './definition.ts';
import { type DefinitionPlan, planDefinitions } from './plan-definitions.ts';

export type { DefinitionKind } from '../schema/definition.ts';

export type DefinitionSight = typeof definitionSights.$inferSelect;

/** What a project has already, as far as a new definition is compared with it. */
export type PresentDefinition = Pick<Definition, 'server' | 'kind' | 'name' | 'approvedHash' | 'issues'>;

/** Adds the issues that show only beside what the project has already. */
export type JudgeDefinitions = (
  server: string,
  observed: ObservedDefinitions,
  present: readonly PresentDefinition[],
) => ObservedDefinitions;

/** Whether agents may see and use it: approved, offered as it was approved, and not under quarantine. */
export const isUsable = ({
  approvedHash,
  currentHash,
  quarantined,
}: Pick<Definition, 'approvedHash' | 'currentHash' | 'quarantined'>): boolean =>
  approvedHash !== '' && approvedHash === currentHash && quarantined === '';

const inProject = ({ org, project }: Tenancy) => and(eq(definitions.org, org), eq(definitions.project, project));
const ofServer = (key: ServerKey) => and(inProject(key), eq(definitions.server, key.server));
const sightsOf = ({ org, project, server }: ServerKey) =>
  and(eq(definitionSights.org, org), eq(definitionSights.project, project), eq(definitionSights.server, server));

/** Of the installation, of a project or of one server, in a stable order. */
export const listDefinitions = (database: Executor, key?: Tenancy & { server?: string }): Promise<Definition[]> =>
  guarded(async () => {
    const where = key && (key.server === undefined ? inProject(key) : ofServer({ ...key, server: key.server }));
    const { org, project, server, kind, name } = definitions;
    const rows = await database.select().from(definitions).where(where).orderBy(org, project, server, kind, name);
    return rows.map(({ updatedAt: _when, ...row }) => row);
  });

const listPresent = (database: Executor, tenancy: Tenancy): Promise<PresentDefinition[]> => {
  const { server, kind, name, approvedHash, issues } = definitions;
  return database.select({ server, kind, name, approvedHash, issues }).from(definitions).where(inProject(tenancy));
};

const planOn = async (
  database: Executor,
  server: ServerKey & { generation: number },
  observed: ObservedDefinitions,
  { approvesFirstSight, judge }: { approvesFirstSight: boolean; judge?: JudgeDefinitions },
): Promise<DefinitionPlan> => {
  const existing = await listDefinitions(database, server);
  const sights = await database.select().from(definitionSights).where(sightsOf(server));
  return planDefinitions(
    server,
    existing,
    new Map(sights.map(({ kind, generation }) => [kind, generation])),
    judge ? judge(server.server, observed, await listPresent(database, server)) : observed,
    { approvesFirstSight },
  );
};

/** Changes of one project's definitions follow one another: whether a name looks like another is judged with both before the eyes. */
const lockProject = (transaction: Executor, { org, project }: Tenancy) =>
  transaction.execute(sql`select pg_advisory_xact_lock(hashtextextended(${`quarterdeck/definitions/${org}/${project}`}, 0))`);

const isEmpty = ({ rows, forgotten, sights }: DefinitionPlan): boolean => rows.length + forgotten.length + sights.length === 0;

/**
 * Writes down what a server offers. With `approvesFirstSight` the first look at an applied server approves what has no issues, and so
 * does the first look at each later generation of it. Otherwise a definition that is new waits unapproved (empty `approvedHash`), a
 * changed one keeps the pinned bytes and shows the others as `currentDefinition`, and one that is no longer offered has an empty
 * `currentHash`: none of them is used. Nothing is written when everything is as it was.
 */
export const recordDefinitions = (
  database: Database,
  server: ServerKey & { generation: number },
  observed: ObservedDefinitions,
  options: { approvesFirstSight: boolean; judge?: JudgeDefinitions },
): Promise<void> =>
  guarded(async () => {
    if (isEmpty(await planOn(database, server, observed, options))) return;
    await database.transaction(async (transaction) => {
      await lockProject(transaction, server);
      const { rows, forgotten, sights } = await planOn(transaction, server, observed, options);
      const { org, project, server: name, generation } = server;
      for (const row of rows) {
        const { org: _o, project: _p, server: _s, kind: _k, name: _n, ...values } = row;
        await transaction
          .insert(definitions)
          .values(row)
          .onConflictDoUpdate({
            target: [definitions.org, definitions.project, definitions.server, definitions.kind, definitions.name],
            set: { ...values, updatedAt: sql`now()` },
          });
      }
      for (const { kind, name: what } of forgotten)
        await transaction.delete(definitions).where(and(ofServer(server), eq(definitions.kind, kind), eq(definitions.name, what)));
      for (const kind of sights)
        await transaction
          .insert(definitionSights)
          .values({ org, project, server: name, kind, generation })
          .onConflictDoUpdate({
            target: [definitionSights.org, definitionSights.project, definitionSights.server, definitionSights.kind],
            set: { generation },
          });
    });
  });

/** At which generation each kind of each server was first looked at. */
export const listSights = (database: Executor): Promise<DefinitionSight[]> => guarded(() => database.select().from(definitionSights));

/** Forgets all that is pinned of a server. */
export const deleteDefinitions = (database: Executor, server: ServerKey): Promise<void> =>
  guarded(async () => {
    await database.delete(definitions).where(ofServer(server));
    await database.delete(definitionSights).where(sightsOf(server));
  });
