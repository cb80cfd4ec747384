import { qualifiedName, type Tenancy } from '../schema/ids.ts';
import type { Kind, StoredResource } from '../schema/resource.ts';
import type { Database } from './database.ts';
import { listResources } from './resources.ts';
import { listToolDefinitions, type ToolDefinition } from './tool-definitions.ts';

/** All that is declared, and the pinned tools, as of one moment; read-only. */
export type Declared = {
  find: <K extends Kind>(kind: K, tenancy: Tenancy, name: string) => StoredResource<K> | undefined;
  list: <K extends Kind>(kind: K, tenancy?: Partial<Tenancy>) => StoredResource<K>[];
  /** Tools of one server by name, in the order of their names. */
  toolsOf: (tenancy: Tenancy, server: string) => readonly ToolDefinition[];
  projects: () => Tenancy[];
};

export const declaredFrom = (resources: StoredResource[], tools: ToolDefinition[]): Declared => {
  const byKey = new Map(
    resources.map((resource) => [`${resource.kind}/${qualifiedName(resource.metadata, resource.metadata.name)}`, resource]),
  );
  const toolsByServer = Map.groupBy(
    tools.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    (tool) => qualifiedName(tool, tool.server),
  );
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
    toolsOf: (tenancy, server) => toolsByServer.get(qualifiedName(tenancy, server)) ?? [],
    projects: () => [...new Map(resources.map(({ metadata: { org, project } }) => [`${org}/${project}`, { org, project }])).values()],
  };
};

export const loadDeclared = async (database: Database): Promise<Declared> =>
  declaredFrom(await listResources(database), await listToolDefinitions(database));

/** What a project declares of policy, as the engine takes it. */
export const projectPolicies = (declared: Declared, tenancy: Tenancy) => ({
  policySets: declared.list('PolicySet', tenancy).map(({ metadata, spec }) => ({ name: metadata.name, cedar: spec.cedar })),
  bindings: declared.list('AccessBinding', tenancy).map(({ metadata, spec }) => ({ name: metadata.name, spec })),
});
