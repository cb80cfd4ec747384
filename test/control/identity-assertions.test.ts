import { decodeJwt } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type BackendIssuer, backendClient, startBackendIssuer } from '../support/backend-issuer.ts';
import { pollUntil } from '../support/poll-until.ts';
import { type ProtectedServer, startProtectedServer } from '../support/protected-server.ts';
import { type RunningPeople, startRunningPeople } from '../support/running-people.ts';

let people: RunningPeople;
let issuer: BackendIssuer;
let server: ProtectedServer;

const auth = () => ({
  kind: 'idJag',
  issuer: issuer.issuer,
  client: { id: backendClient.id, secret: { env: 'BACKEND_SECRET' } },
  identityProvider: 'company',
});
const call = (token: string) => people.call('/mcp/vouched', token, 'tools/call', { name: 'look', arguments: {} });
const logIn = async (employee: string): Promise<string> =>
  (await people.logIn(employee, `${people.gateway.publicUrl}/mcp/vouched`)).access_token;

beforeAll(async () => {
  people = await startRunningPeople({ environment: { BACKEND_SECRET: backendClient.secret } });
  issuer = await startBackendIssuer({ takesAssertionsOf: { issuer: people.company.issuer, jwksUri: people.company.jwksUri } });
  server = await startProtectedServer({ issuer: issuer.issuer, jwksUri: issuer.jwksUri });
  // a login from before anybody wanted assertions: nothing was kept of it
  await people.logIn('bob', people.apiResource);
  await people.gateway.apply(
    { kind: 'McpServer', metadata: { name: 'vouched' }, spec: { url: server.url, auth: auth(), timeoutSeconds: 5 } },
    { kind: 'Toolset', metadata: { name: 'vouched' }, spec: { servers: [{ name: 'vouched' }], naming: 'plain' } },
    { kind: 'AccessBinding', metadata: { name: 'vouched' }, spec: { subjects: [{ group: 'engineering' }], toolsets: ['vouched'] } },
  );
});
afterAll(async () => {
  await people.close();
  await server.close();
  issuer.close();
});

test('of a login that no server wants assertions of nothing is kept', async () => {
  const { rows } = await people.database.$client.query('select * from identity_assertions');
  expect(rows).toEqual([]);
});

test('the company’s identity provider vouches for a person at one authorization server, and that gives a token for one server', async () => {
  const token = await logIn('ada');
  await people.gateway.ready('vouched');
  const text = await pollUntil(async () => {
    const answer = await call(token);
    return answer.text.includes('of look') ? answer.text : undefined;
  }, 'a call goes through');
  expect(text).toContain('of look');
  const assertion = people.company.assertions.at(-1) ?? '';
  expect(decodeJwt(assertion)).toMatchObject({ aud: issuer.issuer, resource: server.url, client_id: backendClient.id, sub: 'u-0001' });
  const seen = server.seen.findLast(({ body }) => body.includes('"tools/call"'));
  expect(seen?.claims).toMatchObject({ sub: 'u-0001', aud: server.url, iss: issuer.issuer });
  const wire = JSON.stringify(server.seen);
  for (const foreign of [assertion, token]) expect(wire).not.toContain(foreign.split('.')[2]);
  expect(people.logLines.join('')).not.toContain(assertion.split('.')[2]);
  const { rows } = await people.database.$client.query("select encode(sealed, 'escape') as text from identity_assertions");
  expect(rows).toHaveLength(1);
  expect(JSON.stringify(rows)).not.toContain('eyJ');
});

test('an assertion that names another authorization server goes nowhere', async () => {
  const token = await logIn('ada');
  people.company.state.audienceOfAssertions = 'https://elsewhere.example';
  const before = issuer.seen.length;
  await people.gateway.apply({
    kind: 'McpServer',
    metadata: { name: 'vouched' },
    spec: { url: server.url, auth: { ...auth(), scopes: ['tools.read'] }, timeoutSeconds: 5 },
  });
  const text = await pollUntil(async () => {
    const answer = await call(token);
    return answer.text.includes('credential_refused') ? answer.text : undefined;
  }, 'the call is refused');
  expect(text).toContain('is not one for');
  expect(issuer.seen.slice(before).filter(({ form }) => form.has('assertion'))).toEqual([]);
  people.company.state.audienceOfAssertions = undefined;
});
