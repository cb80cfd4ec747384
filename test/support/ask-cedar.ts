import { type AuthorizationAnswer, isAuthorized } from '@cedar-policy/cedar-wasm/nodejs';
import { assemblePolicies, type ProjectPolicies } from '../../policy/assemble-policies.ts';
import { cedarSchema } from '../../policy/cedar-schema.ts';
import type { KnownRequest } from '../../policy/known.ts';

/** Cedar by itself: every policy, every entity, nothing remembered. */
export const askCedar = (
  tenancy: { org: string; project: string },
  policies: ProjectPolicies,
  { principal, action, resource, surroundings, context }: KnownRequest,
): AuthorizationAnswer => {
  const assembled = assemblePolicies(tenancy, policies);
  if (!assembled.ok) throw new Error(JSON.stringify(assembled.issues));
  const entities = [...surroundings.entities, ...principal.entities, ...resource.entities];
  return isAuthorized({
    principal: principal.uid,
    action: { type: 'Quarterdeck::Action', id: action },
    resource: resource.uid,
    // nobody approved anything, nothing is carried and no login is known, unless the request says so
    context:
      action === 'callTool'
        ? {
            approvers: [],
            approvedCall: false,
            flow: { secrecy: 0, tainted: false, sources: [] },
            login: { age: 1_000_000_000, level: 0 },
            ...context,
          }
        : context,
    entities: [...new Map(entities.map((entity) => [JSON.stringify(entity.uid), entity])).values()],
    policies: assembled.set,
    schema: cedarSchema,
    validateRequest: true,
  });
};
