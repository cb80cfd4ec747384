import { PlatformError } from '../../schema/errors.ts';
import type { VaultAnswer, VaultClient } from './vault-client.ts';

type Lease = { id: string; data: Record<string, unknown>; until: number; renewAt: number; timer?: NodeJS.Timeout; isUsed: boolean };

/** Never sooner than this before its end is a lease handed out: what uses it has to get through its call. */
const marginOf = (seconds: number): number => Math.min(30_000, seconds * 100);

/**
 * Keeps the credentials that Vault makes on demand. All fields of one path are of one lease, which is renewed at two thirds of its time as
 * long as somebody uses it, replaced when it cannot be renewed further, and given back at the end.
 * @see https://developer.hashicorp.com/vault/docs/concepts/lease
 */
export const createVaultLeases = ({ client, now = Date.now }: { client: VaultClient; now?: () => number }) => {
  const leases = new Map<string, Lease>();
  const pending = new Map<string, Promise<Lease>>();

  const isGood = (lease: Lease): boolean => now() < lease.until;

  const drop = (path: string): void => {
    clearTimeout(leases.get(path)?.timer);
    leases.delete(path);
  };

  const take = (path: string, lease: Lease, seconds: number): void => {
    const lifeMs = seconds * 1000;
    lease.until = now() + lifeMs - marginOf(seconds);
    lease.renewAt = now() + (lifeMs * 2) / 3;
    clearTimeout(lease.timer);
    lease.timer = setTimeout(() => void renew(path, lease), Math.min((lifeMs * 2) / 3, 2 ** 31 - 1)).unref();
  };

  /** What nobody has used since the last time is left to end by itself. */
  const renew = async (path: string, lease: Lease): Promise<void> => {
    if (leases.get(path) !== lease) return;
    if (!lease.isUsed) return drop(path);
    lease.isUsed = false;
    try {
      const asked = Math.round((lease.until - now()) / 1000) * 3;
      const { lease_duration, renewable } = await client.ask('PUT', 'sys/leases/renew', `the lease of ${path}`, {
        lease_id: lease.id,
        increment: Math.max(asked, 1),
      });
      const left = (lease.until - now()) / 1000;
      // at its longest life Vault renews by less and less: another one is fetched in time
      if (renewable === false || (lease_duration ?? 0) <= left) return;
      take(path, lease, lease_duration ?? 0);
    } catch {
      // it is good until its end, and then another is fetched, whose failure is told to whoever asks
    }
  };

  const fetchLease = async (path: string): Promise<Lease> => {
    const answer: VaultAnswer = await client.ask('GET', path, path);
    if (!answer.data) throw new PlatformError('secret_unavailable', `Vault answers nothing usable at ${path}.`);
    const lease: Lease = { id: answer.lease_id ?? '', data: answer.data, until: 0, renewAt: 0, isUsed: true };
    drop(path);
    // without a lease it is good for this once: nothing says for how long
    if (!lease.id || !answer.lease_duration) return lease;
    leases.set(path, lease);
    take(path, lease, answer.lease_duration);
    if (answer.renewable === false) clearTimeout(lease.timer);
    return lease;
  };

  return {
    read: async (path: string): Promise<Record<string, unknown>> => {
      const known = leases.get(path);
      if (known && isGood(known)) {
        known.isUsed = true;
        return known.data;
      }
      let coming = pending.get(path);
      if (!coming) {
        coming = fetchLease(path).finally(() => pending.delete(path));
        pending.set(path, coming);
      }
      return (await coming).data;
    },
    /** Somebody was refused with these: the next who asks gets others. */
    forget: (path: string): void => drop(path),
    /** Gives all back, so that nothing outlives the process that may be used. */
    close: async (): Promise<void> => {
      const ids = [...leases.values()].map(({ id }) => id);
      for (const path of [...leases.keys()]) drop(path);
      await Promise.all(ids.map((id) => client.ask('PUT', 'sys/leases/revoke', 'a lease', { lease_id: id }).catch(() => undefined)));
    },
  };
};
