import type { PlatformClient } from '../platform-client.ts';
import type { Snapshot } from './snapshot.ts';

/** Counts, instants and what the platform says of itself: no part of what people declare or approve. */
const passing = /(At|uid|generation|status|observedGeneration|lookedAt|version)$|\/status\//;

const leaves = (value: unknown, at: string, found: Map<string, string>): void => {
  if (value === null || typeof value !== 'object' || Object.keys(value).length === 0) {
    if (!passing.test(at)) found.set(at, JSON.stringify(value));
    return;
  }
  for (const [name, inner] of Object.entries(value)) leaves(inner, `${at}/${name}`, found);
};

/** Looks at a project through the public api alone: all that is declared in it but the target itself, and what is pinned. */
export const takePlatformSnapshot = async (client: PlatformClient, servers: readonly string[]): Promise<Snapshot> => {
  const found = new Map<string, string>();
  const { items } = await client.get('/resources');
  for (const { kind, metadata, spec } of items)
    if (kind !== 'ReconcileTarget') leaves(spec, `resource: ${kind}/${metadata.name}/spec`, found);
  for (const server of servers) {
    const { pins } = await client.get(`/servers/${server}/pins`).catch(() => ({ pins: [] }));
    for (const { kind, name, ...pin } of pins) leaves(pin, `pin: ${server}/${kind}/${name}`, found);
  }
  return found;
};
