import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

type Lease = { until: number; longestUntil: number };

const bodyOf = async (request: IncomingMessage): Promise<Record<string, string>> => {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return pieces.length === 0 ? {} : JSON.parse(Buffer.concat(pieces).toString());
};

/**
 * A server with the part of HashiCorp Vault's API that is used here, as its documentation has it: KV version 2 with versions and deletion,
 * a database engine whose credentials are leased, renewed up to their longest life and revoked, and logins by AppRole and by a pod's token.
 * Times are the test's: `clock.ms`.
 */
export const startVaultServer = async () => {
  const clock = { ms: 1_000_000 };
  const kept = new Map<string, { data: Record<string, unknown> | null }>();
  const tokens = new Map<string, number>([['root-token', Number.POSITIVE_INFINITY]]);
  const leases = new Map<string, Lease>();
  const seen: string[] = [];
  const state = {
    status: 0,
    renewable: true,
    leaseSeconds: 60,
    longestSeconds: 180,
    tokenSeconds: 100,
    secretId: 'secret-id-1',
    jwt: 'pod-jwt',
  };

  const grant = (): object => {
    const token = `hvs.${randomUUID().replaceAll('-', '')}`;
    tokens.set(token, clock.ms + state.tokenSeconds * 1000);
    return { auth: { client_token: token, lease_duration: state.tokenSeconds, renewable: true } };
  };

  const answer = (method: string, path: string, body: Record<string, string>, token: string): [number, object] => {
    if (state.status) return [state.status, { errors: ['set by the test'] }];
    if (path === 'auth/approle/login') {
      const isKnown = body.role_id === 'role-1' && body.secret_id === state.secretId;
      return isKnown ? [200, grant()] : [400, { errors: ['invalid role or secret ID'] }];
    }
    if (path === 'auth/kubernetes/login')
      return body.role === 'quarterdeck' && body.jwt === state.jwt ? [200, grant()] : [403, { errors: ['permission denied'] }];
    if ((tokens.get(token) ?? 0) <= clock.ms) return [403, { errors: ['permission denied'] }];
    if (path === 'sys/leases/renew' && method === 'PUT') {
      const lease = leases.get(body.lease_id ?? '');
      if (!lease || lease.until <= clock.ms) return [400, { errors: ['lease not found'] }];
      lease.until = Math.min(clock.ms + state.leaseSeconds * 1000, lease.longestUntil);
      return [200, { lease_id: body.lease_id, lease_duration: Math.round((lease.until - clock.ms) / 1000), renewable: true }];
    }
    if (path === 'sys/leases/revoke') return [leases.delete(body.lease_id ?? '') ? 204 : 400, {}];
    if (path.startsWith('database/creds/')) {
      const id = `${path}/${randomUUID()}`;
      leases.set(id, { until: clock.ms + state.leaseSeconds * 1000, longestUntil: clock.ms + state.longestSeconds * 1000 });
      const data = { username: `v-${leases.size}`, password: `made-password-${randomUUID()}` };
      return [200, { lease_id: id, lease_duration: state.leaseSeconds, renewable: state.renewable, data }];
    }
    const [, mount, rest] = /^([^/]+)\/data\/(.+)$/.exec(path) ?? [];
    const entry = kept.get(`${mount}/${rest}`);
    if (!entry) return [404, { errors: [] }];
    if (entry.data === null) return [404, { data: { data: null, metadata: { deletion_time: '2026-01-01T00:00:00Z' } } }];
    return [200, { lease_id: '', lease_duration: 0, renewable: false, data: { data: entry.data, metadata: { version: 1 } } }];
  };

  const server = createServer(async (request, response) => {
    const path = decodeURIComponent((request.url ?? '').replace(/^\/v1\//, ''));
    seen.push(`${request.method} ${path}`);
    const [status, body] = answer(request.method ?? '', path, await bodyOf(request), String(request.headers['x-vault-token'] ?? ''));
    response.writeHead(status, { 'content-type': 'application/json' }).end(status === 204 ? '' : JSON.stringify(body));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    clock,
    state,
    seen,
    leases,
    /** `null` deletes the current version. */
    keep: (path: string, data: Record<string, unknown> | null): void => void kept.set(path, { data }),
    /** A token that is good for ever. */
    allow: (token: string): void => void tokens.set(token, Number.POSITIVE_INFINITY),
    revokeTokens: (): void => tokens.clear(),
    close: async (): Promise<void> => {
      server.closeAllConnections();
      server.close();
    },
  };
};
export type VaultServer = Awaited<ReturnType<typeof startVaultServer>>;
