import type { EntityJson } from '@cedar-policy/cedar-wasm/nodejs';
import { qualifiedName, type Tenancy } from '../schema/ids.ts';
import { entityRef, entityUid, inProject } from './entities.ts';

/** @property approvers - `role:NAME`, `group:NAME` or `person:NAME`, as the policies write them
 * @property acr - level of login that it takes, 1 by default */
export type ApprovalFacts = Tenancy & { id: string; owner: string; approvers: readonly string[]; acr?: number };

/** An approval, with all who may answer it. */
export const approvalEntity = ({ org, project, id, owner, approvers, acr = 1 }: ApprovalFacts): EntityJson => {
  const named = (kind: string): string[] => approvers.flatMap((name) => (name.startsWith(`${kind}:`) ? [name.slice(kind.length + 1)] : []));
  return inProject('Approval', { org, project }, id, {
    owner: entityRef('User', `${org}/${owner}`),
    acr,
    people: named('person').map((name) => entityRef('User', `${org}/${name}`)),
    groups: named('group').map((name) => entityRef('Group', `${org}/${name}`)),
    roles: named('role').map((name) => entityRef('Role', name)),
  });
};

/** What a decision's context says of a call that these people approved. */
export const approvedBy = (org: string, people: readonly string[]) => ({
  approvedCall: true,
  approvers: people.map((person) => entityRef('User', `${org}/${person}`)),
});

export type FixFacts = Tenancy & {
  id: string;
  target: { name: string; critical: boolean; labels: readonly string[] };
  kind: string;
  source: 'rule' | 'model' | 'person';
  /** 0 to 100. */
  confidence: number;
  operations: readonly string[];
  traits: readonly string[];
  objects: number;
  percent: number;
  namespaces: readonly string[];
  kinds: readonly string[];
  /** How far it reaches, 0 to 5. */
  blast: number;
  reversible: boolean;
  planHash: string;
  /** People of the org who wrote a part of what it would do. */
  submitters: readonly string[];
  /** Id of the agent; its own entities belong to the request too, since its owner counts. */
  proposer: string;
};

/** A fix that was proposed, with what it is a fix of. */
export const fixEntities = ({ org, project, id, target, proposer, ...facts }: FixFacts): EntityJson[] => {
  const place = { org, project };
  const { name, critical, labels } = target;
  const attrs = {
    ...facts,
    operations: [...facts.operations],
    traits: [...facts.traits],
    namespaces: [...facts.namespaces],
    kinds: [...facts.kinds],
    submitters: facts.submitters.map((person) => entityRef('User', `${org}/${person}`)),
    target: entityRef('Target', qualifiedName(place, name)),
    proposer: entityRef('Agent', proposer),
  };
  return [
    inProject('Target', place, name, { critical, labels: [...labels] }),
    {
      ...inProject('Fix', place, id, attrs),
      parents: [entityUid('Target', qualifiedName(place, name))],
    },
  ];
};
