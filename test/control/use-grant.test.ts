import { beforeEach, describe, expect, test } from 'vitest';
import { createTokenBinder } from '../../control/issuer/bind-token.ts';
import { createGrantRenewal } from '../../control/issuer/renew-grant.ts';
import { createGrantUse } from '../../control/issuer/use-grant.ts';
import { PlatformError } from '../../schema/errors.ts';
import { createGrantStore, type GrantStore, type NewGrant } from '../../store/backend-grants.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
const key = { org: 'default', project: 'default', server: 'mail', personId: 'ada' };
const issuer = 'https://one.example';
const server = {
  ...{ org: 'default', project: 'default', name: 'mail', uid: 'uid-1', generation: 1, url: 'https://mail.example/mcp' },
  auth: { kind: 'userGrant' as const, scopes: [] },
};
const now = new Date('2026-11-30T07:00:00Z');
const granted = (more: Partial<NewGrant>): NewGrant => ({
  ...key,
  ...{ serverUid: 'uid-1', url: server.url, issuer, resource: server.url, scopes: [] },
  expiresAt: new Date(now.getTime() + 1_000),
  tokens: { accessToken: 'old', refreshToken: 'refresh' },
  ...more,
});

/** Uses a grant while, after the first look and before the claim, the person agrees anew. */
const useWhile = async (meanwhile: Partial<NewGrant>) => {
  const store = createGrantStore(database(), deriveContentKeys(Buffer.alloc(32, 3).toString('base64'), 'grants'));
  await store.put(granted({}));
  const asked: string[] = [];
  const racing: GrantStore = {
    ...store,
    claim: async (at, leaseMs) => {
      await store.put(granted({ tokens: { accessToken: 'new' }, expiresAt: new Date(now.getTime() + 3_600_000), ...meanwhile }));
      return store.claim(at, leaseMs);
    },
  };
  const logger = createLogger({ name: 'test', level: 'silent' });
  const use = createGrantUse({
    store: racing,
    findAuthorization: async (_server, { bound }) => {
      asked.push(bound ?? '');
      return {} as never;
    },
    refresh: createGrantRenewal({
      store: racing,
      reach: () => Promise.reject(new Error('nothing is renewed here')),
      bind: createTokenBinder(),
      clock: () => now,
      logger,
    }),
    issuerUrl: 'https://issuer.example',
    clock: () => now,
  });
  const credential = await use(server as never, 'ada', { scopes: [], isRefused: false }).then(JSON.stringify, (error) => error);
  return { credential, asked };
};

test('whoever waits for a renewal takes what the person agreed to meanwhile at this very server', async () => {
  const { credential } = await useWhile({});
  expect(credential).toContain('new');
});

test.each([
  ['a server of another declaration by that name', { serverUid: 'uid-2' }],
  ['a server at another address', { url: 'https://elsewhere.example/mcp' }],
])('a grant at %s goes to nobody, though it came between the look and the claim', async (_what, meanwhile) => {
  expect((await useWhile(meanwhile)).credential).toMatchObject({ code: 'grant_needed' });
});

test('one of another issuer goes to the server only as long as that names it', async () => {
  const { asked } = await useWhile({ issuer: 'https://two.example' });
  expect(asked).toEqual([issuer, 'https://two.example']);
});

describe('the platform itself, when it looks at what a server offers', () => {
  const store = () => createGrantStore(database(), deriveContentKeys(Buffer.alloc(32, 3).toString('base64'), 'grants'));
  const lasting = new Date(now.getTime() + 3_600_000);
  const give = (personId: string, more: Partial<NewGrant> = {}) =>
    store().put(granted({ personId, expiresAt: lasting, tokens: { accessToken: `of-${personId}` }, ...more }));
  /** The token that is used for nobody in particular. */
  const look = async (scopes: string[] = [], isRefused = false): Promise<unknown> => {
    const logger = createLogger({ name: 'test', level: 'silent' });
    const reach = () => Promise.reject(new Error('nothing is renewed here'));
    const use = createGrantUse({
      store: store(),
      findAuthorization: async (_server, { bound }) => {
        if (bound !== issuer) throw new PlatformError('server_drifted', 'It names another one.');
        return {} as never;
      },
      refresh: createGrantRenewal({ store: store(), reach, bind: createTokenBinder(), clock: () => now, logger }),
      issuerUrl: 'https://issuer.example',
      clock: () => now,
    });
    return use(server as never, undefined, { scopes, isRefused }).then(
      ({ value }) => value,
      (error) => error,
    );
  };

  beforeEach(async () => {
    await database().$client.query('delete from backend_grants');
    await database().$client.query('delete from people');
    for (const id of ['ada', 'bob', 'eve']) await database().$client.query("insert into people (org, id) values ('default', $1)", [id]);
  });

  test('keeps to the grant that was given first, whoever comes after', async () => {
    await give('bob');
    await give('ada');
    await give('eve');
    expect(await look()).toBe('Bearer of-bob');
  });

  test('lends nothing of people who are shut out, or whom nobody knows', async () => {
    await give('bob');
    await give('nobody');
    await give('ada');
    await database().$client.query("update people set disabled = true where id = 'bob'");
    expect(await look()).toBe('Bearer of-ada');
    await database().$client.query("update people set disabled = true where id = 'ada'");
    expect(await look()).toMatchObject({ code: 'grant_needed' });
  });

  test('a later grant at another server of that name, or at another issuer than is declared, hides no good one', async () => {
    await give('bob', { serverUid: 'uid-0' });
    await give('ada');
    await give('eve', { url: 'https://elsewhere.example/mcp' });
    expect(await look()).toBe('Bearer of-ada');
  });

  test('a first grant of an issuer that the server names no more hides no later one', async () => {
    await give('bob', { issuer: 'https://gone.example' });
    expect(await look()).toMatchObject({ code: 'server_drifted' });
    await give('ada');
    expect(await look()).toBe('Bearer of-ada');
  });

  test('takes one that has the scopes which the server wants, and the next one where the first has ended', async () => {
    await give('bob', { expiresAt: new Date(now.getTime() - 1_000) });
    await give('ada');
    await give('eve', { scopes: ['mail.read'] });
    expect(await look(['mail.read'])).toBe('Bearer of-eve');
    expect(await look()).toBe('Bearer of-ada');
    expect(await look(['mail.write'])).toMatchObject({ code: 'grant_needed' });
  });
});
