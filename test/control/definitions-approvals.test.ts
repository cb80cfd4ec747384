import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { seedPeople } from '../../store/people.ts';
import { type PolicyPlace, startPolicyPlace } from '../support/policy-place.ts';
import { pollUntil } from '../support/poll-until.ts';

const server = (url: string) => ({
  apiVersion: 'quarterdeck.dev/v1alpha1',
  kind: 'McpServer',
  metadata: { name: 'counting' },
  spec: { url, timeoutSeconds: 6 },
});

let place: PolicyPlace;
let ada: string;
let rita: string;
beforeAll(async () => {
  place = await startPolicyPlace({ profile: 'production' });
  await seedPeople(place.database, 'default', [
    { id: 'ada', groups: [], roles: ['administrator'] },
    { id: 'rita', groups: [], roles: ['reviewer'] },
  ]);
  ada = await place.login('ada');
  rita = await place.login('rita');
  const { rows } = await place.database.$client.query(`select spec from resources where kind = 'McpServer'`);
  const applied = await place.request('POST', '/apply', { body: { documents: [server(rows[0].spec.url)] }, token: ada });
  expect(applied.status).toBe(200);
  // the gateway of the place is one of another profile, and approves what it sees first: it has to have looked
  await pollUntil(async () => {
    const seen = await place.database.$client.query(
      `select 1 from definition_sights s join resources r on r.kind = 'McpServer' and r.name = s.server and r.generation = s.generation where s.kind = 'tool'`,
    );
    return seen.rows.length > 0 ? true : undefined;
  }, 'a look at the server as it is now');
});
afterAll(() => place.close());
beforeEach(async () => {
  // as a server's definitions land in production: nobody has approved them
  await place.database.$client.query(`delete from approvals; update definitions set approved_hash = ''`);
});

const look = async () => {
  const { body } = await place.request('GET', '/default/default/servers/counting/pins', { token: ada });
  const { kind, name, currentHash } = body.pins.find((pin: { name: string }) => pin.name === 'look');
  return { kind, name, currentHash };
};
const accept = async (token: string) =>
  place.request('POST', '/default/default/servers/counting/pins/accept', { body: { definitions: [await look()] }, token });
const hashOf = async (): Promise<string> =>
  (await place.database.$client.query(`select approved_hash from definitions where name = 'look'`)).rows[0].approved_hash;

test('definitions are accepted by another person than who declared the server, after a fresh login', async () => {
  expect(await accept(await place.login('rita', 360))).toMatchObject({ status: 401, body: { code: 'login_stale' } });
  expect(await hashOf()).toBe('');
  expect(await accept(rita)).toMatchObject({ status: 200, body: { accepted: [{ name: 'look' }] } });
  expect(await hashOf()).not.toBe('');
});

test('who declared the server asks others, who see all that agents would be shown; with their approval it is in force', async () => {
  const { status, body: asked } = await accept(ada);
  expect(status).toBe(202);
  expect(await hashOf()).toBe('');
  const path = `/default/default/approvals/${asked.approvalId}`;
  const { body: shown } = await place.request('GET', path, { token: rita });
  expect(shown).toMatchObject({ kind: 'definitions', subject: 'definitions of counting', person: 'ada' });
  expect(shown.arguments).toContain('inputSchema');
  const approve = (token: string) => place.request('POST', `${path}/approve`, { body: { digest: asked.digest }, token });
  expect((await approve(ada)).body.code).toBe('not_permitted');
  expect((await approve(rita)).body.state).toBe('consumed');
  expect(await hashOf()).toBe((await look()).currentHash);
});

test('a definition that changes after it was asked about is not accepted by that approval', async () => {
  const { body: asked } = await accept(ada);
  await place.database.$client.query(`update definitions set current_hash = 'other' where name = 'look'`);
  const approved = await place.request('POST', `/default/default/approvals/${asked.approvalId}/approve`, {
    body: { digest: asked.digest },
    token: rita,
  });
  expect(approved.body.code).toBe('conflict');
  expect(await hashOf()).toBe('');
});
