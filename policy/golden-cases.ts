import type { Context, EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import { qualifiedName, type Tenancy } from '../schema/ids.ts';
import type { GoldenDecision } from '../schema/resources/golden.ts';
import { approvedBy } from './approval-entities.ts';
import { agentEntities, personEntities } from './caller-entities.ts';
import { declaredEntity, entityUid, fleetEntity, modelEntity, projectEntities, roleEntity } from './entities.ts';
import type { GoldenCase } from './golden.ts';
import type { Known } from './known.ts';
import { recordedContext } from './recorded-context.ts';
import { definitionTarget, resourceEntities } from './toolset-entities.ts';
import { loginActions } from './whole-context.ts';

const known = (uid: TypeAndId, entities: EntityJson[]): Known => ({ uid, entities });
/** Approved, and offered as it was approved. */
const pin = { approvedHash: 'golden', currentHash: 'golden' };
const noHints = { readOnly: false, destructive: false, idempotent: false, openWorld: false };

const principalOf = (tenancy: Tenancy, principal: GoldenDecision['principal']): Known => {
  if (!('agentRole' in principal))
    return known(
      entityUid('User', `${tenancy.org}/${principal.person}`),
      personEntities({ ...principal, org: tenancy.org, id: principal.person }),
    );
  const { agentRole: role, person: owner } = principal;
  const agentId = `${qualifiedName(tenancy, principal.fleet)}/golden/golden/${role}/0`;
  return known(entityUid('Agent', agentId), agentEntities({ ...tenancy, ...principal, agentId, role, owner }));
};

/** `files/read_file` as server and the name that it gives. */
const splitName = (text: string): { server: string; name: string } => {
  const slash = text.indexOf('/');
  return { server: text.slice(0, slash), name: text.slice(slash + 1) };
};

const resourceOf = (tenancy: Tenancy, resource: GoldenDecision['resource']): Known => {
  const named = (type: string, name: string, entity: EntityJson): Known => known(entityUid(type, qualifiedName(tenancy, name)), [entity]);
  if ('model' in resource)
    return named('Model', resource.model, modelEntity(tenancy, resource.model, resource.quality, resource.maxSecrecy));
  if ('fleet' in resource) return named('Fleet', resource.fleet, fleetEntity(tenancy, resource.fleet));
  if ('agentRole' in resource) return named('AgentRole', resource.agentRole, roleEntity(tenancy, resource.agentRole));
  if ('declared' in resource) {
    const { server: kind, name } = splitName(resource.declared);
    return named('Declared', resource.declared, declaredEntity(tenancy, kind, name));
  }
  const { toolset, isolation, sink, maxSecrecy } = resource;
  const place = { ...tenancy, toolset, isolation, sink, maxSecrecy };
  if ('resource' in resource) {
    const { server, name: uri } = splitName(resource.resource);
    const id = `${qualifiedName(tenancy, server)}/${uri}`;
    return known(entityUid('Resource', id), resourceEntities({ ...place, server, uri, templates: [] }));
  }
  const [kind, text] =
    'tool' in resource
      ? (['tool', resource.tool] as const)
      : 'prompt' in resource
        ? (['prompt', resource.prompt] as const)
        : (['template', resource.template] as const);
  const { server, name } = splitName(text);
  const target = definitionTarget({ ...place, server }, { kind, name, ...noHints, ...resource, ...pin });
  return known(target.resource, target.entities);
};

/** The golden decisions of a PolicySet as requests. */
export const goldenCases = (tenancy: Tenancy, decisions: readonly GoldenDecision[]): GoldenCase[] =>
  decisions.map(({ name, principal, action, resource, context, environment, frozen, expect }) => {
    const {
      maxTokens,
      run,
      hasHuman,
      secrecy,
      tainted,
      approvedBy: approvers,
      authAge,
      acr,
      arguments: _given,
      manifest: _manifest,
      ...facts
    } = context;
    return {
      name,
      expect,
      asked: {
        principal: principalOf(tenancy, principal),
        action,
        resource: resourceOf(tenancy, resource),
        surroundings: known(
          entityUid('Project', `${tenancy.org}/${tenancy.project}`),
          projectEntities({ ...tenancy, environment, frozen }),
        ),
        context: {
          ...recordedContext(action, { run, facts }),
          who: { hasHuman, run, ...(action === 'approveServer' ? { authAge, acr } : {}) } as Context,
          ...(secrecy > 0 || tainted ? { flow: { secrecy, tainted, sources: [] } } : {}),
          ...(loginActions.has(action) ? { login: { age: authAge, level: acr } } : {}),
          ...(action === 'invokeModel' ? { maxTokens } : {}),
          ...(action === 'approveServer' ? { mayApproveOwn: false } : {}),
          ...(action === 'callTool' && approvers.length > 0 ? approvedBy(tenancy.org, approvers) : {}),
        },
      },
    };
  });
