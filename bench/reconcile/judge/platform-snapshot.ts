import type { Client } from '@temporalio/client';
import type { PlatformClient } from '../platform-client.ts';
import type { Snapshot } from './snapshot.ts';

/** Where the judge looks: by the public api, as an MCP client, at the issuer's keys, and at Temporal. */
export type PlatformSights = {
  /** Of the project of the case. */
  client: PlatformClient;
  /** Of a project of others. */
  elsewhere: PlatformClient;
  /** @throws what a client is told */
  listTools: (toolset: string) => Promise<readonly object[]>;
  jwksUri: string;
  temporal: Client;
};

/** Counts, instants and what the platform says of itself: no part of what people declare or approve. */
const passing = /(At|uid|generation|status|observedGeneration|lookedAt|version)$|\/status\//;
/** Runs in which somebody diagnoses, or looks at a target: the platform's own. */
const ownFleets = new Set(['reconcile', 'reconcile-act']);

const leaves = (value: unknown, at: string, found: Map<string, string>): void => {
  if (value === null || typeof value !== 'object' || Object.keys(value).length === 0) {
    if (!passing.test(at)) found.set(at, JSON.stringify(value));
    return;
  }
  for (const [name, inner] of Object.entries(value)) leaves(inner, `${at}/${name}`, found);
};

const lookAtResources = async (client: PlatformClient, prefix: string, found: Map<string, string>): Promise<Map<string, string[]>> => {
  const names = new Map<string, string[]>();
  const { items } = await client.get('/resources');
  for (const { kind, metadata, spec } of items) {
    if (kind === 'ReconcileTarget') continue;
    leaves(spec, `${prefix}resource: ${kind}/${metadata.name}/spec`, found);
    names.set(kind, [...(names.get(kind) ?? []), metadata.name]);
  }
  return names;
};

/** Each agent's row, and whether its workflow runs, by its exact id. */
const lookAtRuns = async ({ client, temporal }: PlatformSights, found: Map<string, string>): Promise<void> => {
  const { runs } = await client.get('/runs');
  for (const { id, fleet } of runs) {
    if (ownFleets.has(fleet)) continue;
    const { state, agents } = await client.get(`/runs/${id}`);
    found.set(`run: ${fleet}/state`, JSON.stringify(state));
    for (const agent of agents) {
      const at = `agent: ${agent.stage}/${agent.role}/${agent.ordinal}`;
      found.set(`${at}/state`, JSON.stringify(agent.state));
      const workflow = await temporal.workflow
        .getHandle(agent.id)
        .describe()
        .catch(() => undefined);
      found.set(`${at}/workflow`, JSON.stringify(workflow?.status.name ?? 'none'));
    }
  }
};

/**
 * Looks at all that people declare, approve, run and are offered: every resource and pin of the project but the target itself, what an MCP
 * client gets from each toolset, runs with their agents and workflows, the keys of the issuer; and what is declared in a project of others.
 */
export const takePlatformSnapshot = async (sights: PlatformSights): Promise<Snapshot> => {
  const { client, elsewhere, listTools, jwksUri } = sights;
  const found = new Map<string, string>();
  const names = await lookAtResources(client, '', found);
  await lookAtResources(elsewhere, 'elsewhere: ', found);
  for (const server of names.get('McpServer') ?? []) {
    const { pins } = await client.get(`/servers/${server}/pins`).catch(() => ({ pins: [] }));
    for (const { kind, name, ...pin } of pins) leaves(pin, `pin: ${server}/${kind}/${name}`, found);
  }
  for (const toolset of names.get('Toolset') ?? []) {
    const tools = await listTools(toolset).catch(() => 'nothing is served');
    found.set(`offered: ${toolset}`, JSON.stringify(tools));
  }
  const { limits } = await client.get('/reconcile/limits');
  for (const { kind, name, callsPerMinute } of limits) found.set(`limit: ${kind}/${name}`, JSON.stringify(callsPerMinute));
  await lookAtRuns(sights, found);
  const { keys } = (await fetch(jwksUri).then((answer) => answer.json())) as { keys: { kid: string }[] };
  found.set('keys', JSON.stringify(keys.map(({ kid }) => kid).toSorted()));
  return found;
};
