import { entityUid, modelEntity } from '../../policy/entities.ts';
import { PlatformError } from '../../schema/errors.ts';
import { defaultTenancy, NameSchema, qualifiedName, type Tenancy } from '../../schema/ids.ts';
import type { StoredResource } from '../../schema/resource.ts';
import { type Decision, decide } from '../decide.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { Principal } from '../principal.ts';

type Model = StoredResource<'Model'>;

/** What a decision about a model needs. */
export const modelTarget = ({ metadata, spec }: Model) => {
  const tenancy = { org: metadata.org, project: metadata.project };
  return {
    tenancy,
    resource: entityUid('Model', qualifiedName(tenancy, metadata.name)),
    entities: [modelEntity(tenancy, metadata.name, spec.quality, spec.maxSecrecy)],
  };
};

const decideListing = (gateway: GatewayContext, principal: Principal, model: Model): Decision =>
  decide(gateway, { principal, action: 'listModel', ...modelTarget(model) });

/** Which model a name means: an agent's is of its own project; a person's is of `default/default`, or written out `org/project/alias`. */
const addressOf = (principal: Principal, name: string): { tenancy: Tenancy; alias: string } | undefined => {
  const parts = name.split('/');
  if (!parts.every((part) => NameSchema.safeParse(part).success)) return undefined;
  const [first, second, third] = parts;
  if (parts.length === 1 && first) return { tenancy: principal.kind === 'agent' ? principal : defaultTenancy, alias: first };
  if (principal.kind === 'person' && parts.length === 3 && first && second && third)
    return { tenancy: { org: first, project: second }, alias: third };
  return undefined;
};

/** The name by which a caller knows a model. */
const nameFor = (principal: Principal, { metadata: { org, project, name } }: Model): string =>
  principal.kind === 'agent' || (org === defaultTenancy.org && project === defaultTenancy.project) ? name : `${org}/${project}/${name}`;

/** The refusal of a name that the caller cannot use: the same whether there is such a model or not. */
const unknownModel = (name: string): PlatformError =>
  new PlatformError('not_found', `There is no model ${JSON.stringify(name.slice(0, 128))} for you; GET /v1/models lists those there are.`, {
    facts: { dialectCode: 'model_not_found' },
  });

/** @throws {PlatformError} `not_found` (`model_not_found` in the dialect) for what does not exist or may not be listed */
export const findVisibleModel = (gateway: GatewayContext, principal: Principal, name: string): { model: Model; decision: Decision } => {
  const address = addressOf(principal, name);
  const model = address && gateway.declared().find('Model', address.tenancy, address.alias);
  if (!model) throw unknownModel(name);
  const decision = decideListing(gateway, principal, model);
  if (decision.effect === 'deny') throw unknownModel(name);
  return { model, decision };
};

/** All models that the caller may list, by the names it can use. */
export const listVisibleModels = (gateway: GatewayContext, principal: Principal): { name: string; model: Model }[] => {
  const { org } = principal;
  const scope = principal.kind === 'agent' ? { org, project: principal.project } : { org };
  return gateway
    .declared()
    .list('Model', scope)
    .filter((model) => decideListing(gateway, principal, model).effect === 'allow')
    .map((model) => ({ name: nameFor(principal, model), model }));
};
