import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTokenBinder } from '../../control/issuer/bind-token.ts';
import { authBySecret, configurationFor } from '../../control/issuer/client-configuration.ts';
import { createGrantRenewal, type RenewGrantParts } from '../../control/issuer/renew-grant.ts';
import { PlatformError } from '../../schema/errors.ts';
import { createGrantStore, type GrantKey, type NewGrant } from '../../store/backend-grants.ts';
import { closeDatabase, type Database, openDatabase } from '../../store/database.ts';
import { revokeGrant } from '../../store/given-grants.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { pollUntil } from '../support/poll-until.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database, url } = useTestDatabase();
const keys = deriveContentKeys(Buffer.alloc(32, 3).toString('base64'), 'grants');
const now = new Date('2026-11-30T07:00:00Z');
const server = {
  ...{ org: 'default', project: 'default', name: 'mail', uid: 'uid-1', generation: 1, url: 'https://mail.example/mcp' },
  auth: { kind: 'userGrant' as const, scopes: [] },
};

/** A token endpoint that rotates refresh tokens, answers when it is told to, and keeps what it was asked with. */
const shown: string[] = [];
const held: ServerResponse[] = [];
let manner: 'answers' | 'holds' | 'loses' | 'refuses' = 'answers';
const answer = (response: ServerResponse, status = 200): void => {
  const body = status === 200 ? { access_token: 'a-new', refresh_token: 'r-new', token_type: 'bearer', expires_in: 3600 } : {};
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ error: 'invalid_grant', ...body }));
};
const endpoint = createServer(async (request, response) => {
  shown.push(new URLSearchParams(await text(request)).get('refresh_token') ?? '');
  if (manner === 'holds') held.push(response);
  else if (manner === 'loses') request.socket.destroy();
  else answer(response, manner === 'refuses' ? 400 : 200);
});
let issuer: string;

let small: Database;
beforeAll(async () => {
  endpoint.listen(0, '127.0.0.1');
  await once(endpoint, 'listening');
  issuer = `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}`;
  small = openDatabase({ url: url(), max: 2, name: 'small' });
});
afterAll(async () => {
  endpoint.close();
  endpoint.closeAllConnections();
  await closeDatabase(small);
});
beforeEach(async () => {
  shown.length = 0;
  held.length = 0;
  manner = 'answers';
  await database().$client.query('delete from backend_grants');
});

/** One replica of the issuer. */
const replica = (of: Database = database(), more: Partial<RenewGrantParts> = {}) => {
  const store = createGrantStore(of, keys);
  const refresh = createGrantRenewal({
    store,
    reach: async () => {
      const metadata = { issuer, token_endpoint: `${issuer}/token` };
      const client = { id: 'us', method: 'none', auth: authBySecret('none', undefined) };
      return { found: { metadata, proofs: { isRequired: false } } as never, configuration: configurationFor(metadata, client, fetch) };
    },
    bind: createTokenBinder(),
    clock: () => now,
    logger: createLogger({ name: 'test', level: 'silent' }),
    ...more,
  });
  return { store, refresh };
};
const keyOf = (personId: string): GrantKey => ({ org: 'default', project: 'default', server: 'mail', personId });
const grant = async (personId: string, more: Partial<NewGrant> = {}) => {
  const { store } = replica();
  await store.put({
    ...keyOf(personId),
    ...{ serverUid: server.uid, url: server.url, issuer, resource: server.url, scopes: [] },
    expiresAt: new Date(now.getTime() - 1_000),
    tokens: { accessToken: 'a-old', refreshToken: 'r-old' },
    ...more,
  });
  const put = await store.find(keyOf(personId));
  if (!put) throw new Error('there is no grant');
  return put;
};
const lease = async () =>
  (await database().$client.query('select renewal_claim, renewal_until > now() as held from backend_grants')).rows[0];
const endLease = () => database().$client.query("update backend_grants set renewal_until = now() - interval '1 second'");
const isHeld = (count = 1) => pollUntil(async () => held.length === count || undefined, 'the issuer is asked');

describe('while an issuer is slow', () => {
  test('nothing of the database is held: more renewals than there are connections wait, and others go on', async () => {
    const grants = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((person) => grant(person)));
    manner = 'holds';
    const { refresh, store } = replica(small);
    const renewed = Promise.all(grants.map((one) => refresh(server, one, false)));
    await isHeld(6);
    expect((await small.$client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    expect(small.$client.idleCount).toBe(small.$client.totalCount);
    expect((await store.find(keyOf('a')))?.tokens.accessToken).toBe('a-old');
    const { rows } = await database().$client.query(
      "select count(*)::int as count from pg_stat_activity where state like 'idle in transaction%' and datname = current_database()",
    );
    expect(rows).toEqual([{ count: 0 }]);
    for (const response of held) answer(response);
    expect((await renewed).map((one) => one?.tokens.accessToken)).toEqual(Array(6).fill('a-new'));
  });

  test('two replicas show a refresh token once, and both have what came of it', async () => {
    const old = await grant('ada');
    manner = 'holds';
    const [one, other] = [replica(), replica()];
    const renewed = [one.refresh(server, old, false), one.refresh(server, old, false), other.refresh(server, old, false)];
    await isHeld();
    const waiting = other.refresh(server, old, true);
    answer(held[0] as ServerResponse);
    for (const each of [...renewed, waiting]) expect((await each)?.tokens).toMatchObject({ accessToken: 'a-new', refreshToken: 'r-new' });
    expect(shown).toEqual(['r-old']);
    expect(await lease()).toMatchObject({ renewal_claim: null });
  });

  test('whoever has a token that is still good does not wait', async () => {
    const old = await grant('ada', { expiresAt: new Date(now.getTime() + 30_000) });
    manner = 'holds';
    const first = replica().refresh(server, old, false);
    await isHeld();
    const never = () => Promise.reject(new Error('it waited'));
    expect((await replica(database(), { wait: never }).refresh(server, old, false))?.tokens.accessToken).toBe('a-old');
    answer(held[0] as ServerResponse);
    await first;
  });

  test('a grant that is taken back meanwhile keeps its new tokens to be ended, and is used no more', async () => {
    const old = await grant('ada');
    manner = 'holds';
    const { refresh, store } = replica();
    const renewed = refresh(server, old, false);
    await isHeld();
    await revokeGrant(database(), keyOf('ada'));
    expect(await store.listRevoked()).toEqual([]);
    answer(held[0] as ServerResponse);
    expect(await renewed).toBeUndefined();
    expect((await store.listRevoked()).map(({ tokens }) => tokens.refreshToken)).toEqual(['r-new']);
  });

  test('one that is given anew meanwhile stays as it was given', async () => {
    const old = await grant('ada');
    manner = 'holds';
    const { refresh, store } = replica();
    const renewed = refresh(server, old, false);
    await isHeld();
    await grant('ada', { tokens: { accessToken: 'a-given', refreshToken: 'r-given' } });
    answer(held[0] as ServerResponse);
    expect((await renewed)?.tokens.accessToken).toBe('a-given');
    expect((await store.find(keyOf('ada')))?.tokens.refreshToken).toBe('r-given');
  });
});

describe('an answer that is lost', () => {
  test('ends nothing: the refresh token is shown again after a while, and not before', async () => {
    const old = await grant('ada');
    manner = 'loses';
    const { refresh } = replica();
    await expect(refresh(server, old, false)).rejects.toMatchObject({ code: 'server_unavailable' });
    manner = 'answers';
    const waits: number[] = [];
    const other = replica(database(), { wait: async (ms) => void waits.push(ms) });
    await expect(other.refresh(server, old, false)).rejects.toMatchObject({ code: 'server_unavailable' });
    expect(waits.length).toBeGreaterThan(10);
    expect(shown).toEqual(['r-old']);
    await endLease();
    expect((await other.refresh(server, old, false))?.tokens.accessToken).toBe('a-new');
    expect(shown).toEqual(['r-old', 'r-old']);
  });

  test('does not take away a token that is still good', async () => {
    const old = await grant('ada', { expiresAt: new Date(now.getTime() + 30_000) });
    manner = 'loses';
    expect((await replica().refresh(server, old, false))?.tokens.accessToken).toBe('a-old');
    expect(await lease()).toMatchObject({ held: true });
  });

  test('an issuer that took it for a theft has ended the grant', async () => {
    const old = await grant('ada');
    manner = 'refuses';
    expect(await replica().refresh(server, old, false)).toBeUndefined();
    expect(await lease()).toBeUndefined();
  });
});

test('a process that is killed while it renews keeps nobody out for longer than its lease', async () => {
  const old = await grant('ada');
  const { store, refresh } = replica(database(), { wait: endLease });
  expect(await store.claim(old, 30_000)).toBeDefined();
  expect(await store.claim(old, 30_000)).toBeUndefined();
  expect((await refresh(server, old, false))?.tokens.accessToken).toBe('a-new');
});

test('a database that is away for a moment does not lose what the issuer answered', async () => {
  const old = await grant('ada');
  const store = createGrantStore(database(), keys);
  let tries = 0;
  const settle: typeof store.settle = async (...parameters) => {
    tries += 1;
    if (tries < 3) throw new PlatformError('store_unavailable', 'The database does not answer.');
    return store.settle(...parameters);
  };
  const { refresh } = replica(database(), { store: { ...store, settle }, wait: async () => undefined });
  expect((await refresh(server, old, false))?.tokens.refreshToken).toBe('r-new');
  expect(tries).toBe(3);
});

test('a claim that is over by time writes nothing down any more', async () => {
  const old = await grant('ada');
  const { store } = replica();
  const late = await store.claim(old, 30_000);
  await endLease();
  const next = await store.claim(old, 30_000);
  const renewed = { kind: 'renewed' as const, expiresAt: null };
  await store.settle(old, next?.claim ?? '', { ...renewed, tokens: { accessToken: 'a-next', refreshToken: 'r-next' } });
  await store.settle(old, late?.claim ?? '', { ...renewed, tokens: { accessToken: 'a-late', refreshToken: 'r-late' } });
  expect((await store.find(old))?.tokens.accessToken).toBe('a-next');
});
