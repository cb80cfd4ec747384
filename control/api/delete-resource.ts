import { PlatformError } from '../../schema/errors.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { Kind, StoredResource } from '../../schema/resource.ts';
import type { Database } from '../../store/database.ts';
import { deleteDefinitions } from '../../store/definitions.ts';
import type { Person } from '../../store/people.ts';
import { findPublishedPolicies } from '../../store/published-policies.ts';
import { deleteResource, findResource, listResources } from '../../store/resources.ts';
import { listOpenRuns } from '../../store/runs.ts';
import type { ApiDecision, ApiDependencies } from './api-dependencies.ts';
import { publishedHint } from './check-unpublished.ts';
import type { GuardedChanges } from './guarded-changes.ts';
import { inTransaction } from './in-transaction.ts';
import { recordChange } from './record-change.ts';
import { referencesOf } from './resource-references.ts';

type Key = Tenancy & { kind: Kind; name: string };

/** What stands in the way of a deletion: resources that mention it; for a Project, whatever lives in it. */
const holders = ({ kind, name }: Key, neighbours: StoredResource[]): StoredResource[] =>
  kind === 'Project'
    ? neighbours.filter((resource) => resource.kind !== 'Project')
    : neighbours.filter((resource) => referencesOf(resource).some((reference) => reference.kind === kind && reference.name === name));

const sayHolders = (held: StoredResource[]): string => {
  const names = held.slice(0, 5).map((resource) => `${resource.kind} ${resource.metadata.name}`);
  return held.length > names.length ? `${names.join(', ')} and ${held.length - names.length} more` : names.join(', ');
};

/** @throws {PlatformError} `not_found` */
export const getResource = async (database: Database, key: Key): Promise<StoredResource> => {
  const resource = await findResource(database, key);
  if (resource) return resource;
  const { kind, name, org, project } = key;
  throw new PlatformError(
    'not_found',
    `There is no ${kind} ${name} in ${org}/${project}; \`quarterdeck get ${kind.toLowerCase()}\` lists them.`,
  );
};

/**
 * Deletes a resource that nothing needs any more, with what was pinned of it.
 * @throws {PlatformError} `not_found`, `conflict` naming what mentions it, `not_permitted` where it guards others
 */
export const removeResource = async (
  { database, audit, guards }: Pick<ApiDependencies, 'database' | 'audit'> & { guards: GuardedChanges },
  person: Person,
  decision: ApiDecision,
  key: Key,
): Promise<void> => {
  const { org, project, kind, name } = key;
  const loosened = await guards.permitChange(person, key, await getResource(database, key), undefined);
  const remove = async (within: Database): Promise<void> => {
    const stored = await getResource(within, key);
    guards.refuseUnseen(loosened, stored, undefined);
    const { generation } = stored;
    const held = holders(key, await listResources(within, { org, project }));
    if (held.length > 0)
      throw new PlatformError('conflict', `${kind} ${name} is in use by ${sayHolders(held)}; change or delete that first.`);
    const isHere = (run: Tenancy) => run.org === org && run.project === project;
    if (kind === 'PolicySet' && (await findPublishedPolicies(within, key))) throw new PlatformError('conflict', publishedHint(key));
    if (kind === 'Project' && (await listOpenRuns(within)).some(isHere))
      throw new PlatformError(
        'conflict',
        `Project ${name} has runs that have not ended; cancel them first (\`quarterdeck fleet ls -p ${name}\`).`,
      );
    await deleteResource(within, key);
    if (kind === 'McpServer') await deleteDefinitions(within, { org, project, server: name });
    const what = { action: 'deleteResource', resource: `${kind}/${name}`, facts: { change: 'deleted', generation, ...loosened } };
    await recordChange(audit, within, key, person, decision, what);
  };
  return inTransaction(database, remove, { lockOrg: org });
};
