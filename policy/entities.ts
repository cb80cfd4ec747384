import type { EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import { qualifiedName, type Tenancy } from '../schema/ids.ts';

/** Ids of entities, as policies write them. */
export const entityUid = (type: string, id: string): TypeAndId => ({ type: `Quarterdeck::${type}`, id });
/** What an attribute holds that leads to an entity. */
export const entityRef = (type: string, id: string) => ({ __entity: entityUid(type, id) });

type ProjectFacts = Tenancy & { environment: string; frozen: boolean };

/** Something of a project, by its name there. */
export const inProject = (
  type: string,
  { org, project }: Tenancy,
  name: string,
  attrs: EntityJson['attrs'] = {},
  parents: TypeAndId[] = [],
): EntityJson => ({
  uid: entityUid(type, qualifiedName({ org, project }, name)),
  attrs: { org: entityRef('Org', org), project: entityRef('Project', `${org}/${project}`), ...attrs },
  parents: [entityUid('Project', `${org}/${project}`), ...parents],
});

export const projectEntities = ({ org, project, environment, frozen }: ProjectFacts): EntityJson[] => [
  { uid: entityUid('Org', org), attrs: {}, parents: [] },
  {
    uid: entityUid('Project', `${org}/${project}`),
    attrs: { org: entityRef('Org', org), environment, frozen },
    parents: [entityUid('Org', org)],
  },
];

export const fleetEntity = (tenancy: Tenancy, name: string): EntityJson => inProject('Fleet', tenancy, name, { paused: false });
export const roleEntity = (tenancy: Tenancy, name: string): EntityJson => inProject('AgentRole', tenancy, name);
export const modelEntity = (tenancy: Tenancy, name: string, quality: string, maxSecrecy = 0): EntityJson =>
  inProject('Model', tenancy, name, { quality, maxSecrecy });
/** @param submitters - people of the org who wrote what is declared now; empty where nobody is known */
export const declaredEntity = (tenancy: Tenancy, kind: string, name: string, submitters: readonly string[] = []): EntityJson =>
  inProject('Declared', tenancy, `${kind}/${name}`, {
    kind,
    submitters: submitters.map((person) => entityRef('User', `${tenancy.org}/${person}`)),
  });
