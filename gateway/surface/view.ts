import { hash } from 'node:crypto';
import type { Endpoint } from '../../schema/mcp-endpoint.ts';
import type { DefinitionKind } from '../../store/definitions.ts';
import { type Decision, newDecisionId } from '../decide.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { Principal } from '../principal.ts';
import { decideListing } from './decide-listing.ts';
import { type EndpointTable, requiredTable } from './endpoint-table.ts';
import type { Exposed, Source } from './exposed.ts';
import { mappedUri } from './map-uris.ts';
import { principalKey } from './principal-key.ts';
import { type SearchTools, usableSearchTools } from './search-tools.ts';

/** An endpoint as one caller has it: the table after policy. Views are kept, and never shared by two principals. */
export type View = {
  sources: readonly Source[];
  /** All usable templates, in the order of the sources and under the servers' own spelling. */
  templates: readonly Exposed[];
  /** Whether an item is on the caller's lists. */
  sees(item: Exposed): boolean;
  /** By the name that callers use. Without `item` where there is none, and also where the caller may never use it: the decision says which. */
  find(kind: 'tool' | 'prompt', name: string): { item?: Exposed; decision: Decision };
  /** What the caller may see, in the order of the exposed names; templates in the spelling that leads back to their servers. */
  list(kind: DefinitionKind): readonly Exposed[];
  /** The list as it was last made; undefined where nobody has asked for it. */
  known(kind: DefinitionKind): readonly Exposed[] | undefined;
  /** Of toolsets that expose `search`: what the caller is listed in place of their tools. */
  searchTools(): SearchTools;
  /** How many there are for anybody. */
  offered(kind: DefinitionKind): number;
};

/** One name for a server wherever it stands. */
const serverKey = ({ tenancy, server }: Source): string => `${tenancy.org}/${tenancy.project}/${server.metadata.name}`;

/**
 * Gives each item of several sources the URI under which it is exposed. The first source keeps a URI as it is, another server gets the
 * mapped one, and a server that stands behind a second toolset is not listed twice.
 */
export const spellUris = <Item extends { uri: string; source: Source }>(items: readonly Item[]): (Item & { exposed: string })[] => {
  const owners = new Map<string, string>();
  return items.flatMap((item) => {
    const server = serverKey(item.source);
    for (const exposed of [item.uri, mappedUri(item.source.key, item.uri)]) {
      const owner = owners.get(exposed);
      if (owner === server) return [];
      if (owner !== undefined) continue;
      owners.set(exposed, server);
      return [{ ...item, exposed }];
    }
    return [];
  });
};

const unknown = (): Decision => ({ effect: 'deny', policies: [], advice: [], decisionId: newDecisionId() });

const inOrder = (items: readonly Exposed[]): Exposed[] => items.toSorted((a, b) => (a.name < b.name ? -1 : 1));

const createView = (gateway: GatewayContext, principal: Principal, table: EndpointTable): View => {
  const decisions = new Map<string, Decision>();
  const lists = new Map<DefinitionKind, readonly Exposed[]>();
  const placed: { tool?: readonly Exposed[]; prompt?: readonly Exposed[] } = {};
  let searchTools: SearchTools | undefined;

  const decisionOf = (item: Exposed): Decision => {
    const key = `${item.pinned.kind} ${item.key} ${item.pinned.name}`;
    let decision = decisions.get(key);
    if (!decision) {
      decision = decideListing(gateway, principal, item);
      decisions.set(key, decision);
    }
    return decision;
  };
  /**
   * Decides about another item, the same for each name: a name that nobody offers takes the time that one takes which the caller may not
   * use, the first time as ever after.
   */
  const decideInItsPlace = (kind: 'tool' | 'prompt', name: string): void => {
    const items = kind === 'tool' ? table.tools : table.prompts;
    placed[kind] ??= [...items.values()];
    const item = placed[kind][items.size === 0 ? 0 : hash('sha1', name, 'buffer').readUInt32BE() % items.size];
    if (item) decisionOf(item);
  };
  const isSeen = (item: Exposed): boolean => decideListing(gateway, principal, item).effect === 'allow';

  const make = (kind: DefinitionKind): readonly Exposed[] => {
    if (kind !== 'template') return inOrder([...(kind === 'tool' ? table.tools : table.prompts).values()].filter(isSeen));
    const seen = table.templates.filter(isSeen).map((item) => ({ uri: item.name, source: item, item }));
    return inOrder(
      spellUris(seen).map(({ item, exposed }) => ({ ...item, name: exposed, shown: { ...item.shown, uriTemplate: exposed } })),
    );
  };

  const list = (kind: DefinitionKind): readonly Exposed[] => {
    let items = lists.get(kind);
    if (!items) {
      items = make(kind);
      lists.set(kind, items);
    }
    return items;
  };

  return {
    sources: table.sources,
    templates: table.templates,
    sees: (item) => decisionOf(item).effect === 'allow',
    find: (kind, name) => {
      const items = kind === 'tool' ? table.tools : table.prompts;
      const item = items.get(name);
      if (!item) {
        decideInItsPlace(kind, name);
        return { decision: unknown() };
      }
      const decision = decisionOf(item);
      // an id of its own each time: one that comes back would tell that the name exists
      const named = { ...decision, decisionId: newDecisionId() };
      return decision.effect === 'allow' ? { item, decision: named } : { decision: named };
    },
    list,
    known: (kind) => lists.get(kind),
    searchTools: () => {
      searchTools ??= usableSearchTools(table.search, table.search.size === 0 ? [] : list('tool'));
      return searchTools;
    },
    offered: (kind) => (kind === 'template' ? table.templates.length : (kind === 'tool' ? table.tools : table.prompts).size),
  };
};

const maxViews = 5000;
const views = new WeakMap<EndpointTable, Map<string, View>>();

/**
 * The endpoint as a caller has it, for as long as nothing that is declared changes.
 * @throws {PlatformError} `not_found`, `conflict`
 */
export const viewOf = (gateway: GatewayContext, principal: Principal, endpoint: Endpoint): View => {
  const table = requiredTable(gateway.declared(), endpoint, principal);
  let ofTable = views.get(table);
  if (!ofTable) {
    ofTable = new Map();
    views.set(table, ofTable);
  }
  const key = principalKey(principal);
  let view = ofTable.get(key);
  if (!view) {
    const oldest = ofTable.size >= maxViews ? ofTable.keys().next().value : undefined;
    if (oldest !== undefined) ofTable.delete(oldest);
    view = createView(gateway, principal, table);
    ofTable.set(key, view);
  }
  return view;
};
