import { type StormReport, stormSeconds } from '../../schema/process-report.ts';
import type { StoredResource } from '../../schema/resource.ts';
import { type Principal, principalName } from '../principal.ts';

const windowMs = stormSeconds * 1000;
/** More callers than these of one server are counted together, as nobody's. */
const mostCallers = 1_000;
/** So many callers are told of, those with the most refusals first. */
const mostTold = 8;

type Counted = { agent: string; times: number[] };
type Server = Pick<StoredResource<'McpServer'>, 'metadata'>;

/**
 * Counts how often servers answered their callers that they come too often (429), so that a storm and whoever makes it are seen. Only what
 * was refused is counted: who comes most often is refused most often, and a call that is answered costs nothing here.
 * @param options.now - monotonic milliseconds
 */
export const createStormCounter = ({ now = () => performance.now() }: { now?: () => number } = {}) => {
  const servers = new Map<string, { server: Server; callers: Map<string, Counted> }>();

  const keyOf = ({ metadata: { org, project, name } }: Server): string => `${org}/${project}/${name}`;
  const isRecent = (atMs: number): boolean => now() - atMs < windowMs;

  /** Refused calls within the window; those whose window is over are forgotten. */
  const recent = (): { server: Server; callers: { agent: string; refused: number }[] }[] =>
    [...servers].flatMap(([key, { server, callers }]) => {
      for (const [caller, counted] of callers) {
        counted.times = counted.times.filter(isRecent);
        if (counted.times.length === 0) callers.delete(caller);
      }
      if (callers.size === 0) servers.delete(key);
      return callers.size === 0
        ? []
        : [{ server, callers: [...callers.values()].map(({ agent, times }) => ({ agent, refused: times.length })) }];
    });

  return {
    /** A server has answered a call of somebody with 429; without a principal it was the platform's own look at it. */
    refused: (server: Server, principal?: Principal): void => {
      const known = servers.get(keyOf(server)) ?? { server, callers: new Map<string, Counted>() };
      servers.set(keyOf(server), known);
      const name = principal ? principalName(principal) : '';
      const caller = known.callers.has(name) || known.callers.size < mostCallers ? name : '';
      const counted = known.callers.get(caller) ?? {
        agent: caller !== '' && principal?.kind === 'agent' ? principal.agentId : '',
        times: [],
      };
      known.callers.set(caller, counted);
      counted.times.push(now());
      // a storm of many thousands is no more of a storm
      if (counted.times.length > 10_000) counted.times = counted.times.slice(-5_000);
    },
    /** Starts again with nobody: what was counted was counted under other rates. */
    forget: (): void => servers.clear(),
    report: (): StormReport[] =>
      recent().map(({ server: { metadata }, callers }) => ({
        ...{ org: metadata.org, project: metadata.project, server: metadata.name },
        refused: callers.reduce((sum, { refused }) => sum + refused, 0),
        // people are counted and not named: what is told here is shown to models
        agents: callers
          .filter(({ agent }) => agent !== '')
          .sort((one, other) => other.refused - one.refused)
          .slice(0, mostTold),
      })),
  };
};
export type StormCounter = ReturnType<typeof createStormCounter>;
