import type { EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import { entityUid } from '../../policy/entities.ts';
import { definitionTarget, resourceEntities } from '../../policy/toolset-entities.ts';
import { qualifiedName, type Tenancy } from '../../schema/ids.ts';
import type { DefinitionKind } from '../../store/definitions.ts';
import { type Decision, decide } from '../decide.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { Flow } from '../labels/flow-of.ts';
import { flowOfItem, flowOfResource } from '../labels/flow-of-item.ts';
import type { Principal } from '../principal.ts';
import type { Exposed, Source } from './exposed.ts';

/** What a decision is about. */
export type Target = { tenancy: Tenancy; resource: TypeAndId; entities: EntityJson[] };

/** What policies call seeing and using each kind. */
export const actionsOf = {
  tool: { list: 'listTool', use: 'callTool' },
  prompt: { list: 'listPrompt', use: 'getPrompt' },
  template: { list: 'listResource', use: 'readResource' },
  resource: { list: 'listResource', use: 'readResource' },
} as const satisfies Record<DefinitionKind | 'resource', { list: string; use: string }>;

const placeOf = ({ tenancy, toolset, server }: Source, isolation: number, { sink, maxSecrecy }: Pick<Flow, 'sink' | 'maxSecrecy'>) => ({
  ...tenancy,
  toolset,
  server: server.metadata.name,
  isolation,
  sink,
  maxSecrecy,
});

const makeTarget = (item: Exposed, isolation: number): Target => ({
  tenancy: item.tenancy,
  ...definitionTarget(placeOf(item, isolation, flowOfItem(item)), item.pinned),
});

const targets = new WeakMap<Exposed, Map<number, Target>>();

/**
 * A tool, prompt or template behind its toolset; made once for each, so that decisions about it are found again.
 * @param isolation - what was proved of the server's cage, 0 before it runs
 */
export const targetOf = (item: Exposed, isolation = 0): Target => {
  let ofItem = targets.get(item);
  if (!ofItem) {
    ofItem = new Map();
    targets.set(item, ofItem);
  }
  let target = ofItem.get(isolation);
  if (!target) {
    target = makeTarget(item, isolation);
    ofItem.set(isolation, target);
  }
  return target;
};

/** A resource as its server spells it, and all templates of that server that lead to it. */
export const resourceTarget = (source: Source, uri: string, templates: readonly Exposed[], isolation = 0): Target => {
  const place = placeOf(source, isolation, flowOfResource(source, uri));
  return {
    tenancy: source.tenancy,
    resource: entityUid('Resource', `${qualifiedName(source.tenancy, source.server.metadata.name)}/${uri}`),
    entities: resourceEntities({
      ...place,
      uri,
      templates: templates.map(({ pinned }) => ({ ...pinned, ...place, uriTemplate: pinned.name })),
    }),
  };
};

/**
 * Whether an item is on the caller's lists: where it may be seen, and could be used with some arguments. What is not on a list is as
 * unknown to the caller as what does not exist.
 */
export const decideListing = (gateway: GatewayContext, principal: Principal, item: Exposed): Decision => {
  const target = targetOf(item);
  const { list, use } = actionsOf[item.pinned.kind];
  const seen = decide(gateway, { principal, action: list, ...target });
  if (seen.effect === 'deny') return seen;
  const usable = decide(gateway, { principal, action: use, ...target, facts: 'any' });
  return usable.effect === 'deny' ? usable : seen;
};
