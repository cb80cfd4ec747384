import type { Endpoint } from '../../schema/mcp-endpoint.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { RunOfServer } from '../mcp/launch-of.ts';
import type { Principal } from '../principal.ts';
import type { McpServer, UpstreamPool } from '../upstream/upstream-pool.ts';
import { runOf } from './caller-of.ts';
import { changedLists, isSameList, markOf, type TableMark } from './changed-lists.ts';
import { type EndpointTable, tableOf } from './endpoint-table.ts';
import { createHearing } from './hear-servers.ts';
import type { LiveResources } from './live-resources.ts';
import { principalKey } from './principal-key.ts';
import type { ListKind } from './surface.ts';
import { type View, viewOf } from './view.ts';

type Watcher = (kind: ListKind) => void;

/** All who see the same: one endpoint, and callers of whom the same facts are known. */
type Group = {
  principal: Principal;
  endpoint: Endpoint;
  watchers: Set<Watcher>;
  table: EndpointTable | undefined;
  mark: TableMark | undefined;
  view: View | undefined;
  /** What the group has of the servers that are listened to. */
  ears: string[];
};

/** With more groups than this nobody's list is compared: one that is asked for in vain costs less than all that are looked at. */
const mostCompared = 200;
/** After so many calls others get their turn. */
const toldAtOnce = 500;

/**
 * Tells callers which of their lists have changed: because something else is declared or pinned, because policies changed, because a
 * server came or went, or because it says so itself. Who is told may still see the same list.
 */
export const createListWatch = ({ context, pool, live }: { context: GatewayContext; pool: UpstreamPool; live: LiveResources }) => {
  const groups = new Map<string, Group>();
  const down = new Set<string>();

  const tell = (groups: readonly { group: Group; kinds: readonly ListKind[] }[]): void => {
    const calls = groups.flatMap(({ group, kinds }) =>
      kinds.flatMap((kind) => [...group.watchers].map((watcher) => ({ group, watcher, kind }))),
    );
    const next = (from: number): void => {
      for (const { group, watcher, kind } of calls.slice(from, from + toldAtOnce)) if (group.watchers.has(watcher)) watcher(kind);
      if (from + toldAtOnce < calls.length) setImmediate(next, from + toldAtOnce);
    };
    next(0);
  };

  const groupsOf = (server: McpServer): Group[] =>
    [...groups.values()].filter(({ table }) => table?.sources.some((source) => source.server.uid === server.uid));

  const hearing = createHearing({
    pool,
    onResources: (server: McpServer, run: RunOfServer | undefined) => {
      live.changed(server);
      const concerned = groupsOf(server).filter(({ principal }) => !run || runOf(principal)?.runId === run.runId);
      tell(concerned.map((group) => ({ group, kinds: ['resources'] })));
    },
  });

  /** Brings a group up to what is declared now. */
  const renew = (group: Group): void => {
    const { principal, endpoint } = group;
    const result = tableOf(context.declared(), endpoint, principal);
    group.table = result.ok ? result.table : undefined;
    group.mark = group.table && markOf(context.policy, context.declared(), group.table);
    group.view = group.table && viewOf(context, principal, endpoint);
    const before = group.ears;
    group.ears = (group.table?.sources ?? []).flatMap(({ server, part }) => {
      const isOfInterest = part.resources !== 'none' && pool.factsOf(server)?.capabilities.resources !== undefined;
      return isOfInterest ? (hearing.acquire(server, runOf(principal)) ?? []) : [];
    });
    for (const ear of before) hearing.release(ear);
  };

  const kindsOf = (server: McpServer, { table }: Group): ListKind[] => {
    if (!table) return [];
    const isOfServer = (item: { server: McpServer }): boolean => item.server.uid === server.uid;
    return [
      // what is found and not listed leaves no gap in a list
      ...([...table.tools.values()].some((item) => item.expose === 'all' && isOfServer(item)) ? (['tools'] as const) : []),
      ...([...table.prompts.values()].some(isOfServer) ? (['prompts'] as const) : []),
      ...(pool.factsOf(server)?.capabilities.resources === undefined ? [] : (['resources'] as const)),
    ];
  };

  const onDeclared = (): void => {
    const isCompared = groups.size <= mostCompared;
    const changed = [...groups.values()].map((group) => {
      const { mark, view } = group;
      renew(group);
      const kinds = changedLists(mark, group.mark);
      const { view: now } = group;
      const isSame = (kind: ListKind): boolean => isCompared && kind !== 'resources' && now !== undefined && isSameList(view, now, kind);
      return { group, kinds: kinds.filter((kind) => !isSame(kind)) };
    });
    tell(changed);
  };

  const onServerChange = (server: McpServer): void => {
    const concerned = groupsOf(server);
    for (const group of concerned) renew(group);
    hearing.retry(server);
    const isDown = pool.healthOf(server) !== 'closed';
    if (isDown === down.has(server.uid)) return;
    if (isDown) down.add(server.uid);
    else down.delete(server.uid);
    live.changed(server);
    tell(concerned.map((group) => ({ group, kinds: kindsOf(server, group) })));
  };

  const stops = [context.onDeclared(onDeclared), pool.onServerChange(onServerChange)];

  return {
    /** Calls back with each list of a caller's that may have changed, until the returned function is called. */
    watch: (principal: Principal, endpoint: Endpoint, onChange: Watcher): (() => void) => {
      const key = `${endpoint.path} ${principalKey(principal)}`;
      let group = groups.get(key);
      if (!group) {
        group = { principal, endpoint, watchers: new Set(), table: undefined, mark: undefined, view: undefined, ears: [] };
        groups.set(key, group);
        renew(group);
      }
      const { watchers } = group;
      // the same function may watch twice
      const watcher: Watcher = (kind) => onChange(kind);
      watchers.add(watcher);
      return () => {
        watchers.delete(watcher);
        const left = groups.get(key);
        if (!left || left.watchers !== watchers || watchers.size > 0) return;
        groups.delete(key);
        for (const ear of left.ears) hearing.release(ear);
      };
    },
    close: (): void => {
      for (const stop of stops) stop();
      hearing.close();
      groups.clear();
    },
  };
};
