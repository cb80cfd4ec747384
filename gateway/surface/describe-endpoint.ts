import type { Endpoint } from '../../schema/mcp-endpoint.ts';
import { type Era, tasksExtension } from '../../schema/mcp-revisions.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { gatewayInfo } from '../mcp/gateway-info.ts';
import { isObject, type JsonObject } from '../mcp/message.ts';
import type { Principal } from '../principal.ts';
import type { UpstreamPool } from '../upstream/upstream-pool.ts';
import { tableOf } from './endpoint-table.ts';
import type { Source } from './exposed.ts';
import { mergeInstructions } from './merge-instructions.ts';
import type { EndpointDescription, ListKind } from './surface.ts';
import { viewOf } from './view.ts';

type Capability = 'tools' | 'prompts' | 'resources' | 'completions' | 'logging';

/** Whether any server has a capability; one that nobody has asked yet may have everything. */
const isHad = (pool: Pick<UpstreamPool, 'factsOf'>, sources: readonly Source[], capability: Capability): boolean =>
  sources.some(({ server, part }) => {
    if ((capability === 'prompts' && part.prompts === 'none') || (capability === 'resources' && part.resources === 'none')) return false;
    const facts = pool.factsOf(server);
    return !facts || facts.capabilities[capability] !== undefined;
  });

/** Whether updates of single resources can be heard of. A modern server says so in the same words. */
const canSubscribe = (pool: Pick<UpstreamPool, 'factsOf'>, sources: readonly Source[]): boolean =>
  sources.some(({ server, part }) => {
    if (part.resources === 'none') return false;
    const facts = pool.factsOf(server);
    return !facts || (isObject(facts.capabilities.resources) && facts.capabilities.resources.subscribe === true);
  });

/** The lists that an endpoint has. Changes of all of them can be told: pins are watched, and servers are listened to. */
export const listsOf = (pool: Pick<UpstreamPool, 'factsOf'>, sources: readonly Source[]): ListKind[] =>
  // a toolset is about tools, and stays so while its servers are not there
  (['tools', 'prompts', 'resources'] as const).filter((kind) => kind === 'tools' || isHad(pool, sources, kind));

/** What an endpoint says of itself: what its servers can do, in the words that the era has, and what they say of their use. */
export const describeEndpoint = (
  { context, pool }: { context: GatewayContext; pool: Pick<UpstreamPool, 'factsOf'> },
  principal: Principal,
  endpoint: Endpoint,
  era: Era,
): EndpointDescription => {
  const table = tableOf(context.declared(), endpoint, principal);
  const sources = table.ok ? table.table.sources : [];
  const capabilities: JsonObject = Object.fromEntries(listsOf(pool, sources).map((kind) => [kind, { listChanged: true }]));
  if (capabilities.resources && canSubscribe(pool, sources)) capabilities.resources = { listChanged: true, subscribe: true };
  if (isHad(pool, sources, 'completions')) capabilities.completions = {};
  if (isHad(pool, sources, 'logging')) capabilities.logging = {};
  if (era === 'modern') capabilities.extensions = { [tasksExtension]: {} };
  const name = endpoint.kind === 'toolset' ? endpoint.toolset : 'everything';
  const instructions = table.ok ? mergeInstructions(pool, viewOf(context, principal, endpoint)) : undefined;
  return {
    capabilities,
    serverInfo: { ...gatewayInfo, title: `${gatewayInfo.title}: ${name}` },
    ...(instructions === undefined ? {} : { instructions }),
  };
};
