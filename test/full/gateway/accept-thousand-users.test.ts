import { decodeJwt, importJWK, SignJWT } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { seedPeople } from '../../../store/people.ts';
import { type BackendIssuer, backendClient, startBackendIssuer } from '../../support/backend-issuer.ts';
import { type ProtectedServer, startProtectedServer } from '../../support/protected-server.ts';
import { type RunningPeople, startRunningPeople } from '../../support/running-people.ts';

const userCount = 1_000;
const roundCount = 2;
const users = Array.from({ length: userCount }, (_, index) => `user-${index}`);

let people: RunningPeople;
let issuer: BackendIssuer;
let server: ProtectedServer;

beforeAll(async () => {
  people = await startRunningPeople({ environment: { BACKEND_SECRET: backendClient.secret } });
  issuer = await startBackendIssuer({ trusts: { issuerUrl: people.issuerUrl, jwksUri: people.jwksUri } });
  server = await startProtectedServer({ issuer: issuer.issuer, jwksUri: issuer.jwksUri });
  const auth = { kind: 'tokenExchange', issuer: issuer.issuer, client: { id: backendClient.id, secret: { env: 'BACKEND_SECRET' } } };
  await people.gateway.apply(
    { kind: 'McpServer', metadata: { name: 'own' }, spec: { url: server.url, auth, timeoutSeconds: 60 } },
    { kind: 'Toolset', metadata: { name: 'own' }, spec: { servers: [{ name: 'own' }], naming: 'plain' } },
    { kind: 'AccessBinding', metadata: { name: 'own' }, spec: { subjects: [{ group: 'engineering' }], toolsets: ['own'] } },
  );
  await people.gateway.ready('own');
  await seedPeople(
    people.database,
    'default',
    users.map((id) => ({ id, groups: ['engineering'], roles: [] })),
  );
  await people.database.$client.query(
    `insert into issuer_records (model, id, payload, account, expires_at)
     select 'Grant', 'login-' || id, '{}', 'default/' || id, '2100-01-01' from unnest($1::text[]) id`,
    [users],
  );
});
afterAll(async () => {
  await people.close();
  await server.close();
  issuer.close();
});

/** A token of each, as the issuer signs them, but for who it is like that of somebody who logged in. */
const tokensOfAll = async (): Promise<string[]> => {
  const { access_token } = await people.logIn('ada', `${people.gateway.publicUrl}/mcp/own`);
  const claims = decodeJwt(access_token);
  const [jwk] = people.signingKeys;
  const key = await importJWK(jwk ?? {}, 'ES256');
  return Promise.all(
    users.map((id) =>
      new SignJWT({ ...claims, sub: `default/${id}`, sid: `login-${id}`, jti: crypto.randomUUID() })
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: jwk?.kid ?? '' })
        .sign(key),
    ),
  );
};

test('a thousand people who call at the same moment are each known to the server by a token of their own, and get their own answers', async () => {
  const tokens = await tokensOfAll();
  const before = issuer.statements.length;
  const answers: { user: string; round: number; text: string }[] = [];
  const callAs = async (user: string, index: number): Promise<void> => {
    // whoever is done calls again at once, among the first calls of others
    for (let round = 0; round < roundCount; round += 1) {
      const params = { name: 'look', arguments: { path: `/${user}/${round}` } };
      const { text } = await people.call('/mcp/own', tokens[index] ?? '', 'tools/call', params);
      answers.push({ user, round, text });
    }
  };
  await Promise.all(users.map(callAs));

  expect(answers).toHaveLength(userCount * roundCount);
  for (const { user, round, text } of answers) {
    // the server numbers its calls: the answer is to the very call that this person made
    const number = Number(/call (\d+) of look/.exec(text)?.[1]);
    expect(server.inner.calls[number - 1]?.arguments.path, `${user}: ${text}`).toBe(`/${user}/${round}`);
  }
  const calls = server.seen.filter(({ body, claims }) => claims && body.includes('"tools/call"'));
  expect(calls).toHaveLength(userCount * roundCount);
  const tokenOf = new Map<string, string>();
  for (const { body, claims, headers } of calls) {
    const user = /"path":"\/(user-\d+)\//.exec(body)?.[1] ?? '';
    expect(claims).toMatchObject({ sub: `default/${user}`, aud: server.url, iss: issuer.issuer });
    const token = String(headers.authorization);
    expect(tokenOf.get(user) ?? token).toBe(token);
    tokenOf.set(user, token);
  }
  // each has one of their own, however often they call, and no inbound one is among them
  expect(new Set(tokenOf.values()).size).toBe(userCount);
  expect(issuer.statements.length - before).toBe(userCount);
  const inbound = new Set(tokens.map((token) => `Bearer ${token}`));
  expect(server.seen.filter(({ headers }) => inbound.has(String(headers.authorization)))).toEqual([]);
});
