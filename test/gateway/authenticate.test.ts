import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createAuthenticator } from '../../gateway/auth/authenticate.ts';
import type { Principal } from '../../gateway/principal.ts';
import type { PersonTokenClaims, RunTokenClaims } from '../../schema/access-token.ts';
import { endAgent, findWorkingAgents } from '../../store/agents.ts';
import { deleteIssuerRecord, putIssuerRecord } from '../../store/issuer-records.ts';
import { replacePersonToken, seedPeople, setPersonDisabled } from '../../store/people.ts';
import { markRunRevoked } from '../../store/runs.ts';
import { insertRunningAgent, insertRunningRun, useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
let now = 0;
let authenticate: ReturnType<typeof createAuthenticator>;
const token = 'qd_a-token-of-ada';
const give = (given: string) => replacePersonToken(database(), { org: 'default', personId: 'ada', stamp: 'session', token: given });
const claimsOf = (agentId: string): RunTokenClaims =>
  ({ act: { sub: agentId }, org: 'default', project: 'default', sub: 'default/admin' }) as RunTokenClaims;
const ask = async (bearer: string): Promise<Principal> => authenticate(`Bearer ${bearer}`, 'http://gateway/mcp');
const refused = { code: 'token_refused' };

beforeAll(() => seedPeople(database(), 'default', [{ id: 'ada', groups: ['engineers'], roles: [] }]));
beforeEach(async () => {
  now = Date.now();
  await database().$client.query('update people set disabled = false');
  await give(token);
  // a run's token stands for its agent here: verify-access-token.test.ts has the rest
  authenticate = createAuthenticator({ database: database(), profile: 'dev', verifyAccessToken: claimsOf, now: () => now });
});

describe('a person’s token', () => {
  test('is looked up once, and answered without a promise for two seconds', async () => {
    const person = await ask(token);
    expect(person).toMatchObject({ kind: 'person', id: 'ada', groups: ['engineers'] });
    expect(authenticate(`Bearer ${token}`, 'http://gateway/mcp')).toBe(person);
    now += 1999;
    expect(authenticate(`Bearer ${token}`, 'http://gateway/mcp')).toBe(person);
    now += 1;
    const asked = authenticate(`Bearer ${token}`, 'http://gateway/mcp');
    expect(asked).toBeInstanceOf(Promise);
    // heard to its end: a look-up still under way would meet what the next test does to the person, and be refused with nobody listening
    expect(await asked).toBe(person);
  });

  test('is the same frozen principal as long as nothing about the person changes', async () => {
    const person = await ask(token);
    now += 5000;
    expect(await ask(token)).toBe(person);
    expect(Object.isFrozen(person) && Object.isFrozen((person as { groups: string[] }).groups)).toBe(true);
    await seedPeople(database(), 'default', [{ id: 'ada', groups: ['engineers', 'ops'], roles: [] }]);
    now += 5000;
    expect(await ask(token)).toMatchObject({ groups: ['engineers', 'ops'] });
    await seedPeople(database(), 'default', [{ id: 'ada', groups: ['engineers'], roles: [] }]);
  });

  test('that was taken back, or whose person was disabled, is refused two seconds later', async () => {
    await ask(token);
    await give('qd_another');
    now += 2000;
    await expect(ask(token)).rejects.toMatchObject(refused);
    expect(await ask('qd_another')).toMatchObject({ id: 'ada' });
    await database().$client.query('update people set disabled = true');
    now += 2000;
    await expect(ask('qd_another')).rejects.toMatchObject(refused);
  });

  test('ends when it says, also in the middle of those two seconds', async () => {
    await database().$client.query('update person_tokens set expires_at = $1', [new Date(now + 500)]);
    await ask(token);
    now += 499;
    expect(await ask(token)).toMatchObject({ id: 'ada' });
    now += 1;
    await expect(ask(token)).rejects.toMatchObject(refused);
  });

  test('that is nobody’s is refused without asking again for a quarter of a second', async () => {
    await expect(ask('qd_new')).rejects.toMatchObject(refused);
    await give('qd_new');
    await expect(ask('qd_new')).rejects.toMatchObject(refused);
    now += 250;
    expect(await ask('qd_new')).toMatchObject({ id: 'ada' });
  });

  test('is not taken in production, nor anything that is no bearer token', async () => {
    authenticate = createAuthenticator({ database: database(), profile: 'production', verifyAccessToken: claimsOf, now: () => now });
    await expect(ask(token)).rejects.toMatchObject(refused);
    expect(() => authenticate(undefined, 'x')).toThrow(expect.objectContaining({ code: 'not_authenticated' }));
    expect(() => authenticate('Basic abc', 'x')).toThrow(expect.objectContaining({ code: 'not_authenticated' }));
  });

  test('is asked for once by many calls at the same time', async () => {
    const people = await Promise.all(Array.from({ length: 20 }, () => ask(token)));
    expect(new Set(people).size).toBe(1);
  });
});

describe('a token of a login', () => {
  const audience = 'http://gateway/mcp/default/default/tools';
  const login = { sid: 'grant-1', sub: 'default/ada', org: 'default', scope: 'mcp', aud: audience } as PersonTokenClaims;
  const asking = (claims: PersonTokenClaims) =>
    createAuthenticator({ database: database(), profile: 'production', verifyAccessToken: () => claims, now: () => now });
  beforeEach(() => putIssuerRecord(database(), 'Grant', 'grant-1', { accountId: 'default/ada' }, 3600));

  test('stands for its person, in production too; the login is looked up once in two seconds, and not waited for when it is known', async () => {
    const check = asking(login);
    const person = await check('Bearer x', audience);
    expect(person).toMatchObject({ kind: 'person', id: 'ada', groups: ['engineers'], stamp: 'login' });
    now += 1999;
    expect(check('Bearer x', audience)).toBe(person);
    now += 1;
    const asked = check('Bearer x', audience);
    expect(asked).toBeInstanceOf(Promise);
    expect(await asked).toBe(person);
  });

  test('ends within two seconds with its login, and with its person', async () => {
    const check = asking(login);
    await check('Bearer x', audience);
    await deleteIssuerRecord(database(), 'Grant', 'grant-1');
    now += 2000;
    await expect(check('Bearer x', audience)).rejects.toMatchObject(refused);
    await putIssuerRecord(database(), 'Grant', 'grant-1', { accountId: 'default/ada' }, 3600);
    now += 2000;
    await check('Bearer x', audience);
    expect(await setPersonDisabled(database(), 'default', 'ada', true)).toBe(true);
    now += 2000;
    await expect(check('Bearer x', audience)).rejects.toMatchObject(refused);
    // letting them in again does not bring the login back
    await setPersonDisabled(database(), 'default', 'ada', false);
    now += 2000;
    await expect(check('Bearer x', audience)).rejects.toMatchObject(refused);
  });

  test('needs the scope of what is called, and belongs to its person alone', async () => {
    await expect(asking({ ...login, scope: 'models' })('Bearer x', audience)).rejects.toMatchObject({ code: 'scope_insufficient' });
    await expect(asking({ ...login, scope: 'mcpx' })('Bearer x', audience)).rejects.toMatchObject({ code: 'scope_insufficient' });
    await expect(asking(login)('Bearer x', 'http://gateway/v1')).rejects.toMatchObject({ code: 'scope_insufficient' });
    await expect(asking({ ...login, sub: 'default/admin' })('Bearer x', audience)).rejects.toMatchObject(refused);
  });
});

describe('an agent run’s token', () => {
  test('stands for the agent as its row has it, until that ends', async () => {
    const run = await insertRunningRun(database(), 'run_auth');
    const agentId = await insertRunningAgent(database(), run);
    const agent = await ask(agentId);
    expect(agent).toMatchObject({ kind: 'agent', agentId, person: 'admin', runId: 'run_auth' });
    expect(authenticate(`Bearer ${agentId}`, 'x')).toBe(agent);
    await endAgent(database(), agentId, { state: 'cancelled' });
    now += 2000;
    await expect(ask(agentId)).rejects.toMatchObject(refused);
  });

  test('ends when the person on whose behalf it acts is shut out, and when its run was revoked', async () => {
    await seedPeople(database(), 'default', [{ id: 'admin', groups: [], roles: [] }]);
    const run = await insertRunningRun(database(), 'run_shut');
    const agentId = await insertRunningAgent(database(), run);
    expect(await ask(agentId)).toMatchObject({ kind: 'agent' });
    expect(await findWorkingAgents(database(), [agentId])).toEqual(new Set([agentId]));
    await setPersonDisabled(database(), 'default', 'admin', true);
    now += 2000;
    await expect(ask(agentId)).rejects.toMatchObject(refused);
    expect((await findWorkingAgents(database(), [agentId])).size).toBe(0);
    await setPersonDisabled(database(), 'default', 'admin', false);
    now += 2000;
    expect(await ask(agentId)).toMatchObject({ kind: 'agent' });
    await markRunRevoked(database(), run);
    now += 2000;
    await expect(ask(agentId)).rejects.toMatchObject(refused);
    expect((await findWorkingAgents(database(), [agentId])).size).toBe(0);
  });

  test('of another tenant, or for another person than the one who launched the run, is refused', async () => {
    const run = await insertRunningRun(database(), 'run_foreign');
    const agentId = await insertRunningAgent(database(), run);
    for (const change of [{ org: 'other' }, { project: 'other' }, { sub: 'default/mallory' }]) {
      const verifyAccessToken = () => ({ ...claimsOf(agentId), ...change });
      authenticate = createAuthenticator({ database: database(), profile: 'dev', verifyAccessToken, now: () => now });
      await expect(ask(agentId)).rejects.toMatchObject(refused);
    }
  });

  test('of a run that a machine launched counts also as the release before made it out, for the machine; it is nobody else’s', async () => {
    const run = await insertRunningRun(database(), 'run_upgraded', 'client-default-nightly');
    const agentId = await insertRunningAgent(database(), run);
    const asked = (sub: string) =>
      createAuthenticator({
        database: database(),
        profile: 'production',
        verifyAccessToken: () => ({ ...claimsOf(agentId), sub }),
        now: () => now,
      })(`Bearer ${agentId}`, 'x');
    for (const sub of [agentId, 'default/client-default-nightly'])
      expect(await asked(sub)).toMatchObject({ kind: 'agent', agentId, person: 'client-default-nightly' });
    for (const sub of ['default/admin', 'default/client-default-other', 'other/client-default-nightly'])
      await expect(asked(sub)).rejects.toMatchObject(refused);
  });
});
