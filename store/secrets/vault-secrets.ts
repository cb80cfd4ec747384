import { PlatformError } from '../../schema/errors.ts';
import type { Tenancy } from '../../schema/ids.ts';
import { createKeptValues } from './kept-values.ts';
import type { VaultSettings } from './settings.ts';
import { createVaultClient } from './vault-client.ts';
import { createVaultLeases } from './vault-leases.ts';

export type VaultReference = { path: string; field: string; engine: 'kv' | 'dynamic' };

const keptMs = 60_000;
const staleMs = 600_000;

/** Whether a path fits a pattern in which `*` stands for anything; compared from left to right, in time linear in both. */
const fits = (path: string, pattern: string): boolean => {
  const [head = '', ...rest] = pattern.split('*');
  if (rest.length === 0) return path === head;
  if (!path.startsWith(head)) return false;
  const tail = rest.pop() ?? '';
  let from = head.length;
  for (const part of rest) {
    const at = path.indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  return path.length - tail.length >= from && path.endsWith(tail);
};

const allowedPaths = (paths: readonly string[], { org, project }: Tenancy): string[] =>
  paths.map((pattern) => pattern.replaceAll('{org}', org).replaceAll('{project}', project));

/**
 * Reads fields of what Vault keeps (`kv`, version 2, kept for a minute) or makes on demand (`dynamic`, by leases). Only paths that the
 * installation opened to the tenant are asked for: Vault knows us as one, so it cannot tell tenants apart.
 */
export const createVaultSecrets = (settings: VaultSettings, now: () => number = Date.now) => {
  const client = createVaultClient(settings, now);
  const leases = createVaultLeases({ client, now });
  const kept = createKeptValues<Record<string, unknown>>({ ttlMs: keptMs, staleMs, now });

  const readKept = (path: string): Promise<Record<string, unknown>> =>
    kept.get(path, async () => {
      const [mount, ...rest] = path.split('/');
      const { data } = await client.ask('GET', `${mount}/data/${rest.map(encodeURIComponent).join('/')}`, path);
      const inner = data?.data;
      if (typeof inner !== 'object' || inner === null)
        throw new PlatformError('secret_unavailable', `Vault has no current version of ${path}, or its engine is not KV of version 2.`);
      return inner as Record<string, unknown>;
    });

  return {
    /** @throws {PlatformError} `secret_unavailable` */
    read: async ({ path, field, engine }: VaultReference, tenancy: Tenancy): Promise<string> => {
      const allowed = allowedPaths(settings.paths, tenancy);
      if (!allowed.some((pattern) => fits(path, pattern)))
        throw new PlatformError(
          'secret_unavailable',
          `${path} is not a path that this installation opens to ${tenancy.org}/${tenancy.project}: those are ${allowed.join(', ')}.`,
        );
      const data = engine === 'kv' ? await readKept(path) : await leases.read(path);
      const value = Object.hasOwn(data, field) ? data[field] : undefined;
      if (typeof value !== 'string' || value === '')
        throw new PlatformError('secret_unavailable', `What Vault has at ${path} has no text in a field ${field}.`);
      return value;
    },
    forget: ({ path }: VaultReference): void => {
      kept.forget(path);
      leases.forget(path);
    },
    close: leases.close,
  };
};
export type VaultSecrets = ReturnType<typeof createVaultSecrets>;
