import { expect, test } from 'vitest';
import { createTokenBinder } from '../../control/issuer/bind-token.ts';
import { createGrantRenewal } from '../../control/issuer/renew-grant.ts';
import { createGrantUse } from '../../control/issuer/use-grant.ts';
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
