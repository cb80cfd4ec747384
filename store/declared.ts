import { qualifiedName, type Tenancy } from '../schema/ids.ts';
import type { Kind, StoredResource } from '../schema/resource.ts';
import type { PolicySetSpec } from '../schema/resources/access.ts';
import type { Database } from './database.ts';
import type { Definition } from './definition.ts';
import { type DefinitionKind, type DefinitionSight, listDefinitions, listSights } from './definitions.ts';
import { listPublishedPolicies, listPublishedVersions, type PublishedPolicies } from './published-policies.ts';
import { listResources } from './resources.ts';

/** All that is declared, and what is pinned of the servers, as of one moment; read-only. */
export type Declared = {
  find: <K extends Kind>(kind: K, tenancy: Tenancy, name: string) => StoredResource<K> | undefined;
  list: <K extends Kind>(kind: K, tenancy?: Partial<Tenancy>) => StoredResource<K>[];
  /** What is pinned of one server, usable or not, in the order of the names; see `isUsable`. */
  definitionsOf: (tenancy: Tenancy, server: string, kind: DefinitionKind) => readonly Definition[];
  /** The generation of a server at which definitions of a kind were first looked at; 0 when they never were. */
  seenAt: (tenancy: Tenancy, server: string, kind: DefinitionKind) => number;
  projects: () => Tenancy[];
  /** The last publication of a project's policies, as it is stored: whoever uses it checks its signature. */
  publishedPolicies: (tenancy: Tenancy) => PublishedPolicies | undefined;
  /** The highest version that was on record as published when this view was read, whatever became of its row; 0 where none was. */
  publishedVersion: (tenancy: Tenancy) => number;
};

export const declaredFrom = (
  resources: StoredResource[],
  definitions: Definition[],
  sights: DefinitionSight[] = [],
  published: PublishedPolicies[] = [],
  publishedVersions: ReadonlyMap<string, number> = new Map(),
): Declared => {
  const byKey = new Map(
    resources.map((resource) => [`${resource.kind}/${qualifiedName(resource.metadata, resource.metadata.name)}`, resource]),
  );
  const byServer = Map.groupBy(
    definitions.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    (definition) => `${definition.kind}/${qualifiedName(definition, definition.server)}`,
  );
  const seenAt = new Map(sights.map((sight) => [`${sight.kind}/${qualifiedName(sight, sight.server)}`, sight.generation]));
  const publishedIn = new Map(published.map((policies) => [`${policies.org}/${policies.project}`, policies]));
  const definitionsOf: Declared['definitionsOf'] = (tenancy, server, kind) =>
    byServer.get(`${kind}/${qualifiedName(tenancy, server)}`) ?? [];
  return {
    find: <K extends Kind>(kind: K, tenancy: Tenancy, name: string) =>
      byKey.get(`${kind}/${qualifiedName(tenancy, name)}`) as StoredResource<K> | undefined,
    list: <K extends Kind>(kind: K, { org, project }: Partial<Tenancy> = {}) =>
      resources.filter(
        (resource) =>
          resource.kind === kind &&
          (org === undefined || resource.metadata.org === org) &&
          (project === undefined || resource.metadata.project === project),
      ) as StoredResource<K>[],
    definitionsOf,
    seenAt: (tenancy, server, kind) => seenAt.get(`${kind}/${qualifiedName(tenancy, server)}`) ?? 0,
    projects: () => [...new Map(resources.map(({ metadata: { org, project } }) => [`${org}/${project}`, { org, project }])).values()],
    publishedPolicies: ({ org, project }) => publishedIn.get(`${org}/${project}`),
    publishedVersion: ({ org, project }) => publishedVersions.get(`${org}/${project}`) ?? 0,
  };
};

const fingerprints = new WeakMap<Declared, string>();

/** Tells one view from another: all but what was observed of resources, and definitions by their hashes. */
const fingerprintOf = (
  resources: StoredResource[],
  definitions: Definition[],
  sights: DefinitionSight[],
  published: PublishedPolicies[],
): string =>
  JSON.stringify([
    published,
    resources.map(({ status: _status, updatedAt: _when, ...resource }) => resource),
    definitions.map(({ definition: _definition, currentDefinition: _current, ...pin }) => pin),
    sights,
  ]);

/**
 * Reads all that is declared.
 * @param known - an earlier view: it comes back itself where nothing has changed but what was observed, so that what was worked out from
 *   it can be kept
 */
export const loadDeclared = async (database: Database, known?: Declared): Promise<Declared> => {
  const resources = await listResources(database);
  const definitions = await listDefinitions(database);
  const sights = await listSights(database);
  // before the publications themselves: one that is made meanwhile is never older than what is on record
  const publishedVersions = await listPublishedVersions(database);
  const published = await listPublishedPolicies(database);
  const fingerprint = fingerprintOf(resources, definitions, sights, published);
  if (known && fingerprints.get(known) === fingerprint) return known;
  const declared = declaredFrom(resources, definitions, sights, published, publishedVersions);
  fingerprints.set(declared, fingerprint);
  return declared;
};

/** What is published of a PolicySet. */
export const policiesIn = (name: string, { cedar, hooks, rego }: PolicySetSpec) => ({
  name,
  cedar,
  ...(hooks ? { hooks } : {}),
  ...(rego ? { rego } : {}),
});

/** What a project declares of policy, as the engine takes it. */
export const projectPolicies = (declared: Declared, tenancy: Tenancy) => ({
  policySets: declared.list('PolicySet', tenancy).map(({ metadata, spec }) => policiesIn(metadata.name, spec)),
  bindings: declared.list('AccessBinding', tenancy).map(({ metadata, spec }) => ({ name: metadata.name, spec })),
});
