import type { EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import { type PersonFacts, personEntities } from '../../policy/caller-entities.ts';
import type { PolicyEngine } from '../../policy/engine.ts';
import { entityUid, projectEntities } from '../../policy/entities.ts';
import type { KnownRequest } from '../../policy/known.ts';
import type { PolicyDecision } from '../../policy/policy-decision.ts';
import type { Tenancy } from '../../schema/ids.ts';
import { isMachine } from '../../schema/machine-person.ts';
import type { Declared } from '../../store/declared.ts';

/** Stands for a project that is not declared yet: the platform's policies alone decide about it. */
const undeclared: Tenancy = { org: '*', project: '*' };

export type AskedResource = { uid: TypeAndId; entities: EntityJson[] };
export type PersonAnswer = PolicyDecision & { asked: KnownRequest; policyVersion: string | undefined };

type Options = {
  /** What a decision is told beside who, what and which thing; that a person asks, by default. */
  context?: KnownRequest['context'];
  /** Asks as if the project had no policies of its own. */
  byPlatformAlone?: boolean;
};

/** Asks the policies of a project, the same as those of the gateway, what a person may do there. */
export const createPersonAsk =
  ({ policy, declared }: { policy: PolicyEngine; declared: () => Declared }) =>
  (
    person: PersonFacts,
    action: string,
    tenancy: Tenancy,
    resource: AskedResource,
    { context = { who: { hasHuman: !isMachine(person.id), run: '' } }, byPlatformAlone = false }: Options = {},
  ): PersonAnswer => {
    const project = declared().find('Project', tenancy, tenancy.project);
    const policies = project && !byPlatformAlone ? tenancy : undeclared;
    if (policies === undeclared) policy.load(policies, { policySets: [], bindings: [] });
    const asked: KnownRequest = {
      principal: { uid: entityUid('User', `${person.org}/${person.id}`), entities: personEntities(person) },
      action,
      resource: { uid: resource.uid, entities: resource.entities },
      surroundings: {
        uid: entityUid('Project', `${tenancy.org}/${tenancy.project}`),
        entities: [
          ...projectEntities({
            ...tenancy,
            environment: project?.spec.environment ?? 'development',
            frozen: project?.spec.frozen ?? false,
          }),
          ...(person.org === tenancy.org ? [] : [{ uid: entityUid('Org', person.org), attrs: {}, parents: [] }]),
        ],
      },
      context,
    };
    return { ...policy.decideKnown(policies, asked), asked, policyVersion: policy.versionOf(policies) };
  };
