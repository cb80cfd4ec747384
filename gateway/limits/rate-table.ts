import type { RateHold } from '../../schema/rate-hold.ts';
import type { StoredResource } from '../../schema/resource.ts';
import type { Rate, RateEach } from '../../schema/resources/rate.ts';
import type { Declared } from '../../store/declared.ts';
import type { Principal } from '../principal.ts';

/** One rate as it is declared, ready to be counted. */
export type CompiledRate = {
  /** Names the counter: another rate is another counter, and a changed number goes on with the old one. */
  readonly key: string;
  /** As refusals name it: `McpServer/echo`. */
  readonly of: string;
  readonly each: RateEach;
  readonly tools: ReadonlySet<string> | undefined;
  readonly calls: number | undefined;
  readonly windowSeconds: number;
  readonly atOnce: number | undefined;
  readonly isConservative: boolean;
};

export type RateTable = {
  readonly isEmpty: boolean;
  /** What holds for calls of a server or model by somebody; undefined where nothing does. */
  find(principal: Principal, resource: StoredResource<'McpServer'> | StoredResource<'Model'>): readonly CompiledRate[] | undefined;
  /** What holds for standing streams in a project. */
  streams(org: string, project: string): readonly CompiledRate[];
};

type Limited = { kind: string; metadata: { org: string; project: string; name: string }; spec: { rates?: readonly Rate[] | undefined } };

const compile = ({ kind, metadata: { org, project, name } }: Limited, rate: Rate): CompiledRate => {
  const { each, tools, calls, perSeconds, atOnce, whenStoreFails } = rate;
  const named = [kind, org, project, name, rate.of ?? '', each, (tools ?? []).toSorted().join(','), perSeconds];
  return {
    key: named.join('/'),
    of: `${kind}/${name}`,
    each,
    tools: tools && new Set(tools),
    calls,
    windowSeconds: perSeconds,
    atOnce,
    isConservative: whenStoreFails === 'conservative',
  };
};

const none: readonly CompiledRate[] = [];

/** Makes findable what is declared of rates; without any, nothing is looked for with a call. */
export const tableOfRates = (declared: Declared): RateTable => {
  const calls = new Map<string, readonly CompiledRate[]>();
  const streams = new Map<string, readonly CompiledRate[]>();
  const keyOf = (kind: string, org: string, project: string, name: string): string => `${kind}/${org}/${project}/${name}`;
  for (const kind of ['Project', 'McpServer', 'Model', 'AgentRole'] as const)
    for (const resource of declared.list(kind) as Limited[]) {
      const { org, project, name } = resource.metadata;
      const rates = resource.spec.rates ?? [];
      const of = (what: 'calls' | 'streams') =>
        rates.filter((rate) => (rate.of ?? 'calls') === what).map((rate) => compile(resource, rate));
      if (of('calls').length > 0) calls.set(keyOf(kind, org, project, name), of('calls'));
      if (of('streams').length > 0) streams.set(`${org}/${project}`, of('streams'));
    }
  return {
    isEmpty: calls.size === 0,
    find: (principal, { kind, metadata: { org, project, name } }) => {
      const found = [
        ...(calls.get(keyOf('Project', org, project, project)) ?? none),
        ...(calls.get(keyOf(kind, org, project, name)) ?? none),
        ...(principal.kind === 'agent' ? (calls.get(keyOf('AgentRole', principal.org, principal.project, principal.role)) ?? none) : none),
      ];
      return found.length > 0 ? found : undefined;
    },
    streams: (org, project) => streams.get(`${org}/${project}`) ?? none,
  };
};

/** What holds for calls of a server's tools by somebody, beside what is declared. */
export type HeldRates = {
  readonly isEmpty: boolean;
  find(principal: Principal, server: StoredResource<'McpServer'>): readonly CompiledRate[];
};

/** Held to this many or more, calls are counted in short windows, so that they do not come all at once at the beginning of a minute. */
const leastForShortWindows = 12;
const shortWindowSeconds = 10;

const windowOf = (callsPerMinute: number): Pick<CompiledRate, 'calls' | 'windowSeconds'> =>
  callsPerMinute < leastForShortWindows
    ? { calls: callsPerMinute, windowSeconds: 60 }
    : { calls: Math.floor((callsPerMinute * shortWindowSeconds) / 60), windowSeconds: shortWindowSeconds };

/** Makes findable who is held to less than declared. What is held is one more rate: nothing that is declared is widened by it. */
export const heldRates = (holds: readonly RateHold[]): HeldRates => {
  const rates = new Map(
    holds.map(({ org, project, kind, name, callsPerMinute }): [string, CompiledRate] => {
      const key = `${kind}/${org}/${project}/${name}`;
      const of = `${kind}/${name}, held back by the reconciler,`;
      const each = kind === 'Agent' ? 'agent' : 'all';
      return [
        key,
        { key: `held/${key}`, of, each, tools: undefined, ...windowOf(callsPerMinute), atOnce: undefined, isConservative: false },
      ];
    }),
  );
  return {
    isEmpty: rates.size === 0,
    find: (principal, { metadata: { org, project, name } }) => {
      const ofAgent =
        principal.kind === 'agent' ? rates.get(`Agent/${principal.org}/${principal.project}/${principal.agentId}`) : undefined;
      const ofServer = rates.get(`McpServer/${org}/${project}/${name}`);
      return [...(ofAgent ? [ofAgent] : []), ...(ofServer ? [ofServer] : [])];
    },
  };
};

/** Whose counter a call goes to; undefined where the rate does not concern this caller. */
export const subjectOf = ({ each }: CompiledRate, principal: Principal): string | undefined => {
  if (each === 'all') return '';
  if (each === 'person') return `${principal.org}/${principal.kind === 'agent' ? principal.person : principal.id}`;
  if (principal.kind !== 'agent') return undefined;
  return each === 'role' ? `${principal.org}/${principal.project}/${principal.role}` : each === 'run' ? principal.runId : principal.agentId;
};
