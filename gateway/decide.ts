import { randomBytes } from 'node:crypto';
import type { Context, EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import type { PolicyDecision } from '../policy/engine.ts';
import { projectEntities } from '../policy/entities.ts';
import type { Tenancy } from '../schema/ids.ts';
import type { GatewayContext } from './gateway-context.ts';
import { type Principal, principalEntities, principalUid, whoOf } from './principal.ts';

export type Decision = PolicyDecision & { decisionId: string };

/** An opaque id for a decision: a refusal shows it, the audit explains it. */
export const newDecisionId = (): string => `dec_${randomBytes(9).toString('base64url')}`;

const uniqueByUid = (entities: EntityJson[]): EntityJson[] => {
  const keyOf = ({ uid }: EntityJson): string =>
    '__entity' in uid ? `${uid.__entity.type}::${uid.__entity.id}` : `${uid.type}::${uid.id}`;
  return [...new Map(entities.map((entity) => [keyOf(entity), entity])).values()];
};

/** Asks the policies of the resource's project. A decision that cannot be made is a deny, and is logged. */
export const decide = (
  { policy, declared, logger }: GatewayContext,
  {
    principal,
    tenancy,
    action,
    resource,
    entities,
    facts = {},
  }: {
    principal: Principal;
    tenancy: Tenancy;
    action: string;
    resource: TypeAndId;
    entities: EntityJson[];
    /** What the action's context needs beside `who`. */
    facts?: Context;
  },
): Decision => {
  const project = declared().find('Project', { org: tenancy.org, project: tenancy.project }, tenancy.project);
  const decision = policy.decide(tenancy, {
    principal: principalUid(principal),
    action,
    resource,
    context: { who: whoOf(principal), ...facts },
    entities: uniqueByUid([
      ...projectEntities({ ...tenancy, environment: project?.spec.environment ?? 'development', frozen: project?.spec.frozen ?? true }),
      ...principalEntities(principal),
      ...entities,
    ]),
  });
  const decisionId = newDecisionId();
  if (decision.error) logger.error({ decisionId, action, error: decision.error }, 'a decision could not be made and is a deny');
  return { ...decision, decisionId };
};
