import { beforeEach, expect, test } from 'vitest';
import { keepGrants } from '../../control/issuer/keep-grants.ts';
import { resourceSchemas } from '../../schema/resource.ts';
import { createGrantStore } from '../../store/backend-grants.ts';
import { revokeGrant } from '../../store/given-grants.ts';
import { applyResources } from '../../store/resources.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { resource } from '../support/sample-resources.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
const url = 'https://mail.example/mcp';
const key = { org: 'default', project: 'default', server: 'mail', personId: 'ada' };
const storeOf = () => createGrantStore(database(), deriveContentKeys(Buffer.alloc(32, 3).toString('base64'), 'grants'));

/** What looks after grants, at an issuer that answers or not. */
const keeping = (laterMs = 0) => {
  const state = { isAway: true, told: [] as string[] };
  const keeper = keepGrants({
    database: database(),
    store: storeOf(),
    assertions: { removeOld: async () => undefined },
    refresh: () => Promise.reject(new Error('nothing is renewed here')),
    ending: {
      endAtIssuer: async (_server, { tokens }) => {
        if (state.isAway) throw new Error('the issuer is away');
        state.told.push(tokens.refreshToken ?? '');
      },
    },
    clock: () => new Date(Date.now() + laterMs),
    logger: createLogger({ name: 'test', level: 'silent' }),
    intervalMs: 3_600_000,
  });
  return { ...keeper, state };
};
const left = async () => (await storeOf().listRevoked()).length;

beforeEach(async () => {
  await applyResources(database(), [resourceSchemas.McpServer.parse(resource('McpServer', 'mail', { url, auth: { kind: 'userGrant' } }))]);
  await database().$client.query('delete from backend_grants');
  const tokens = { accessToken: 'a', refreshToken: 'r' };
  await storeOf().put({
    ...key,
    serverUid: 'uid-1',
    url,
    issuer: 'https://one.example',
    resource: url,
    scopes: [],
    expiresAt: null,
    tokens,
  });
  await revokeGrant(database(), key);
});

test('an issuer that does not answer is told of what was taken back when it does', async () => {
  const { sweep, close, state } = keeping();
  await sweep();
  expect(await left()).toBe(1);
  state.isAway = false;
  await sweep();
  expect(state.told).toEqual(['r']);
  expect(await left()).toBe(0);
  await close();
});

test('one that is away for an hour is given up', async () => {
  const { sweep, close } = keeping(3_700_000);
  await sweep();
  expect(await left()).toBe(0);
  await close();
});
