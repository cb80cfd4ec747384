import type { EntityJson } from '@cedar-policy/cedar-wasm/nodejs';
import { qualifiedName, reconcileFleet, type Tenancy } from '../schema/ids.ts';
import { entityRef, entityUid, fleetEntity, roleEntity } from './entities.ts';

export type PersonFacts = { org: string; id: string; groups: string[]; roles: string[]; disabled: boolean };

/** A person with groups and roles; roles are of the platform, groups of the org. */
export const personEntities = ({ org, id, groups, roles, disabled }: PersonFacts): EntityJson[] => [
  {
    uid: entityUid('User', `${org}/${id}`),
    attrs: { org: entityRef('Org', org), disabled },
    parents: [...groups.map((group) => entityUid('Group', `${org}/${group}`)), ...roles.map((role) => entityUid('Role', role))],
  },
  ...groups.map((group): EntityJson => ({ uid: entityUid('Group', `${org}/${group}`), attrs: {}, parents: [] })),
  ...roles.map((role): EntityJson => ({ uid: entityUid('Role', role), attrs: {}, parents: [] })),
];

export type AgentFacts = Tenancy & {
  agentId: string;
  fleet: string;
  role: string;
  owner: string;
  quarantined: boolean;
  assignedPaths: string[];
};

/** An agent of a run, its fleet and its role. The owner is the person who launched it. */
export const agentEntities = ({ org, project, agentId, fleet, role, owner, quarantined, assignedPaths }: AgentFacts): EntityJson[] => [
  {
    uid: entityUid('Agent', agentId),
    attrs: {
      org: entityRef('Org', org),
      project: entityRef('Project', `${org}/${project}`),
      fleet: entityRef('Fleet', qualifiedName({ org, project }, fleet)),
      owner: entityRef('User', `${org}/${owner}`),
      quarantined,
      assignedPaths,
    },
    parents: [
      entityUid('Fleet', qualifiedName({ org, project }, fleet)),
      entityUid('AgentRole', qualifiedName({ org, project }, role)),
      ...(fleet === reconcileFleet ? [entityUid('Role', 'diagnoser')] : []),
    ],
  },
  fleetEntity({ org, project }, fleet),
  roleEntity({ org, project }, role),
  ...(fleet === reconcileFleet ? [roleOfPlatform('diagnoser')] : []),
];

const roleOfPlatform = (name: string): EntityJson => ({ uid: entityUid('Role', name), attrs: {}, parents: [] });

/**
 * What applies fixes of one target: no agent of a run, and never the one that proposed them.
 * @param owner - the person who declared the target
 */
export const reconcilerEntities = (place: Tenancy, target: string, owner: string): EntityJson[] => {
  const fleet = entityUid('Fleet', qualifiedName(place, reconcileFleet));
  return [
    {
      uid: entityUid('Agent', reconcilerId(place, target)),
      attrs: {
        org: entityRef('Org', place.org),
        project: entityRef('Project', `${place.org}/${place.project}`),
        fleet: { __entity: fleet },
        owner: entityRef('User', `${place.org}/${owner}`),
        quarantined: false,
        assignedPaths: [],
      },
      parents: [fleet, entityUid('Role', 'reconciler')],
    },
    fleetEntity(place, reconcileFleet),
    roleOfPlatform('reconciler'),
  ];
};
export const reconcilerId = ({ org, project }: Tenancy, target: string): string => `reconcile/${org}/${project}/${target}`;
