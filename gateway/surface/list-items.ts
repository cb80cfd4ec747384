import type { Era } from '../../schema/mcp-revisions.ts';
import type { DefinitionKind } from '../../store/definitions.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import type { JsonObject, Reply } from '../mcp/message.ts';
import type { UpstreamPool } from '../upstream/upstream-pool.ts';
import type { Exposed } from './exposed.ts';
import { itemForEra } from './item-for-era.ts';
import { refuseIncomplete, sourcesDown, warningsOf } from './outages.ts';
import type { Page, Pager } from './page-list.ts';
import { type Listing, recordFailedListing, recordListing } from './record-listing.ts';
import { noSearchTools, type SearchTools } from './search-tools.ts';
import { viewOf } from './view.ts';

/** For how long a client may keep a list without asking again; a change of a definition is in force as soon. */
export const listTtlMs = 5000;

/** What modern clients may do with a list: policy saw who asked, so it is for nobody else. */
export const cacheHints = (era: Era): JsonObject => (era === 'modern' ? { ttlMs: listTtlMs, cacheScope: 'private' } : {});

const lists = {
  tool: { member: 'tools', action: 'listTools' },
  prompt: { member: 'prompts', action: 'listPrompts' },
  template: { member: 'resourceTemplates', action: 'listResourceTemplates' },
} as const satisfies Record<DefinitionKind, { member: string; action: string }>;

/** Lists as they were last answered: by the items, which are one caller's, then by era and by which servers were missing. */
const rendered = new WeakMap<readonly Exposed[], Map<string, readonly JsonObject[]>>();

/** The two tools of each toolset that exposes `search`, among what is listed beside them, in the order of the names. */
const withSearchTools = (items: readonly Exposed[], search: SearchTools): readonly Pick<Exposed, 'name' | 'shown'>[] => {
  if (search.size === 0) return items;
  return [...items.filter(({ expose }) => expose === 'all'), ...search.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
};

const render = (items: readonly Exposed[], search: SearchTools, era: Era, missing: ReadonlySet<string>): readonly JsonObject[] => {
  let ofItems = rendered.get(items);
  if (!ofItems) {
    ofItems = new Map();
    rendered.set(items, ofItems);
  }
  const key = [era, ...missing].join(' ');
  let list = ofItems.get(key);
  if (!list) {
    if (ofItems.size >= 16) ofItems.clear();
    const there = items.filter(({ server }) => !missing.has(server.uid));
    list = withSearchTools(there, search).map(({ shown }) => itemForEra(shown, era));
    ofItems.set(key, list);
  }
  return list;
};

/** The result of a list from its page. */
export const listResult = (member: string, { items, nextCursor }: Page, rest: JsonObject): Reply => ({
  kind: 'result',
  result: { [member]: items, ...(nextCursor === undefined ? {} : { nextCursor }), ...rest },
});

/**
 * Makes the answers to `tools/list`, `prompts/list` and `resources/templates/list`: what policy lets the caller see, as pinned and as
 * the toolset shows it, in the order of the names. What belongs to a server that does not answer is left out for as long.
 */
export const createItemLists = ({ context, pool, pageOf }: { context: GatewayContext; pool: UpstreamPool; pageOf: Pager }) => {
  const answer = (kind: DefinitionKind, request: ClientRequest, listing: Listing): Reply => {
    const { principal, endpoint, client, params, method } = request;
    const view = viewOf(context, principal, endpoint);
    const down = sourcesDown(pool, view.sources);
    refuseIncomplete(down);
    // an agent of ours asks once, and takes what is not listed for what it may not use: its call waits for the server instead
    const missing = principal.kind === 'agent' ? [] : down;
    const search = kind === 'tool' ? view.searchTools() : noSearchTools;
    const items = render(view.list(kind), search, client.era, new Set(missing.map(({ server }) => server.uid)));
    const page = pageOf(items, `${endpoint.path} ${method}`, params.cursor ?? undefined);
    recordListing(context, request, listing, { offered: view.offered(kind), listed: items.length });
    return listResult(lists[kind].member, page, { ...cacheHints(client.era), ...warningsOf(view, missing) });
  };

  return (kind: DefinitionKind) =>
    (request: ClientRequest): Reply => {
      context.audit.assertWritable();
      const listing = { action: lists[kind].action, startedAt: context.now() };
      try {
        return answer(kind, request, listing);
      } catch (thrown) {
        throw recordFailedListing(context, request, listing, thrown);
      }
    };
};
