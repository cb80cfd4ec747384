import { randomUUID } from 'node:crypto';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCountingServer } from '../support/counting-server.ts';
import { makeProofKey, type ProofKey } from '../support/make-proof.ts';
import { companyProvider, machineSecret, type RunningPeople, startRunningPeople } from '../support/running-people.ts';

const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

let people: RunningPeople;
let server: Awaited<ReturnType<typeof startCountingServer>>;
let toolsetUrl: string;
let tokenUrl: string;
let key: ProofKey;
let thief: ProofKey;

beforeAll(async () => {
  server = await startCountingServer();
  people = await startRunningPeople();
  const secret = { clientSecret: { env: 'MACHINE_SECRET' } };
  const grants = ['client_credentials', 'token-exchange', 'id-jag'];
  await people.gateway.apply(
    companyProvider(people.company.issuer, { accepts: { tokenExchange: { audiences: ['the-portal'] }, idJag: true } }),
    { kind: 'OAuthClient', metadata: { name: 'machine' }, spec: { grants, ...secret } },
    { kind: 'OAuthClient', metadata: { name: 'careful' }, spec: { grants, boundTokens: true, ...secret } },
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url, timeoutSeconds: 5 } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
    {
      kind: 'AccessBinding',
      metadata: { name: 'engineers' },
      spec: { subjects: [{ group: 'engineering' }, { person: 'client-default-careful' }], toolsets: ['counting'] },
    },
  );
  await people.gateway.ready('counting');
  toolsetUrl = `${people.gateway.publicUrl}/mcp/counting`;
  tokenUrl = `${people.issuerUrl}/token`;
  [key, thief] = await Promise.all([makeProofKey(), makeProofKey()]);
});
afterAll(async () => {
  await people.close();
  await server.close();
});

type Begun = ReturnType<RunningPeople['request']>;
const redeem = async (begun: Begun, answer: URLSearchParams, proof?: string) =>
  people.token(
    {
      grant_type: 'authorization_code',
      code: answer.get('code') ?? '',
      code_verifier: begun.verifier,
      redirect_uri: begun.redirectUri,
      client_id: begun.clientId,
    },
    proof === undefined ? {} : { dpop: proof },
  );
/** A login whose tokens are bound to `key`. */
const logIn = async (resource = toolsetUrl) => {
  const begun = people.request(resource, { dpop_jkt: key.thumbprint });
  const { status, body } = await redeem(begun, await people.authorize(begun, 'ada'), await key.prove({ url: tokenUrl }));
  expect({ status, type: body.token_type }).toEqual({ status: 200, type: 'DPoP' });
  return body as { access_token: string; refresh_token: string };
};
/** A call of a tool, by whatever headers. */
const send = async (headers: Record<string, string>, url = toolsetUrl) => {
  const before = server.calls.length;
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'look', arguments: { path: '/ok/a' } } }),
  });
  const text = await response.text();
  return { status: response.status, challenge: response.headers.get('www-authenticate'), text, reached: server.calls.length - before };
};
/** The answer to a token without a proof of its key, with where to read what this resource wants. */
const unproven = {
  status: 401,
  challenge: expect.stringMatching(
    /^DPoP algs="ES256 (?=.*error="invalid_dpop_proof").*resource_metadata="http[^"]+\/\.well-known\/oauth-protected-resource\/mcp\/counting"/,
  ),
  reached: 0,
};

describe('an authorization request that names a key (RFC 9449 §10)', () => {
  const stolen = async (proof: (() => Promise<string>) | undefined) => {
    const begun = people.request(toolsetUrl, { dpop_jkt: key.thumbprint });
    return redeem(begun, await people.authorize(begun, 'ada'), await proof?.());
  };
  test('has its code redeemed by a proof of that key alone, whoever has the code and its verifier', async () => {
    expect(await stolen(undefined)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    expect(await stolen(() => thief.prove({ url: tokenUrl }))).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    expect(await stolen(() => key.prove({ url: tokenUrl }))).toMatchObject({ status: 200, body: { token_type: 'DPoP' } });
  });
});

describe('the issuer', () => {
  test('binds access and refresh token to the key that was proven, and says in its metadata which proofs it takes', async () => {
    const { access_token: token, refresh_token: refresh } = await logIn();
    expect(decodeJwt(token)).toMatchObject({ cnf: { jkt: key.thumbprint } });
    const metadata = await (await fetch(`${people.issuerUrl}/.well-known/oauth-authorization-server`)).json();
    expect(metadata).toMatchObject({ dpop_signing_alg_values_supported: expect.arrayContaining(['ES256', 'EdDSA']) });
    const renew = async (proof?: string) =>
      people.token(
        { grant_type: 'refresh_token', refresh_token: refresh, client_id: 'quarterdeck-cli' },
        proof === undefined ? {} : { dpop: proof },
      );
    expect(await renew()).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    expect(await renew(await thief.prove({ url: tokenUrl }))).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    const renewed = await renew(await key.prove({ url: tokenUrl }));
    expect({ status: renewed.status, cnf: decodeJwt(renewed.body.access_token).cnf }).toEqual({
      status: 200,
      cnf: { jkt: key.thumbprint },
    });
  });

  test.each([
    ['for another method', { claims: { htm: 'GET' } }],
    ['for another address', { claims: { htu: 'https://elsewhere.example/token' } }],
    ['that is an hour old', { claims: { iat: Math.floor(Date.now() / 1000) - 3600 } }],
    ['without a name of its own', { claims: { jti: undefined } }],
    ['of another type', { header: { typ: 'JWT' } }],
    ['by a key that it does not carry', () => ({ key: thief.privateKey })],
  ])('gives nothing for a proof %s', async (_what, changes) => {
    const begun = people.request(toolsetUrl);
    const spoilt = typeof changes === 'function' ? changes() : changes;
    const answer = await redeem(begun, await people.authorize(begun, 'ada'), await key.prove({ url: tokenUrl }, spoilt));
    expect(answer).toMatchObject({ status: 400, body: { error: 'invalid_dpop_proof' } });
  });

  test('takes a proof once, of however many at the same moment', async () => {
    const proof = await key.prove({ url: tokenUrl });
    const begun = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const request = people.request(toolsetUrl);
        return { request, answer: await people.authorize(request, 'ada') };
      }),
    );
    const answers = await Promise.all(begun.map(({ request, answer }) => redeem(request, answer, proof)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });
});

describe('the gateway, shown a token that is bound to a key', () => {
  let token: string;
  beforeAll(async () => {
    token = (await logIn()).access_token;
  });
  const prove = (changes?: Parameters<ProofKey['prove']>[1], by = key) => by.prove({ url: toolsetUrl, token }, changes);
  const sendProven = (proof: string) => send({ authorization: `DPoP ${token}`, dpop: proof });

  test('takes it with a proof for this request, again and again with new ones', async () => {
    for (let time = 0; time < 2; time += 1) expect(await sendProven(await prove())).toMatchObject({ status: 200, reached: 1 });
  });

  test('takes it from nobody without one: not as a bearer token, not even with a proof beside it', async () => {
    expect(await send({ authorization: `Bearer ${token}` })).toMatchObject(unproven);
    expect(await send({ authorization: `Bearer ${token}`, dpop: await prove() })).toMatchObject(unproven);
    expect(await send({ authorization: `DPoP ${token}` })).toMatchObject(unproven);
  });

  test.each([
    ['by a key of the thief’s', () => prove({}, thief)],
    ['by the thief, who names the key', () => prove({ key: thief.privateKey })],
    ['that carries the private key', () => prove({ header: { jwk: key.privateJwk } })],
    ['for another method', () => prove({ claims: { htm: 'GET' } })],
    ['for a sibling toolset', () => prove({ claims: { htu: `${people.gateway.publicUrl}/mcp/other` } })],
    ['for another gateway', () => prove({ claims: { htu: 'https://elsewhere.example/mcp/counting' } })],
    ['for another token', () => prove({ claims: { ath: 'x'.repeat(43) } })],
    ['for no token', () => prove({ claims: { ath: undefined } })],
    ['that is ten minutes old', () => prove({ claims: { iat: Math.floor(Date.now() / 1000) - 600 } })],
    ['from the future', () => prove({ claims: { iat: Math.floor(Date.now() / 1000) + 600 } })],
    ['of no time', () => prove({ claims: { iat: undefined } })],
    ['without a name of its own', () => prove({ claims: { jti: undefined } })],
    ['of another type', () => prove({ header: { typ: 'JWT' } })],
    ['that is signed by nothing', async () => `${(await prove()).split('.').slice(0, 2).join('.')}.`],
  ])('refuses a proof %s, and nothing reaches the server', async (_what, make) => {
    expect(await sendProven(await make())).toMatchObject(unproven);
  });

  test('takes a proof once, of twenty at the same moment', async () => {
    const proof = await prove();
    const before = server.calls.length;
    const answers = await Promise.all(Array.from({ length: 20 }, () => sendProven(proof)));
    const taken = answers.filter(({ status }) => status === 200);
    expect(taken.map(({ text }) => text)).toEqual([expect.stringContaining('of look')]);
    const { status, challenge } = unproven;
    for (const answer of answers) if (!taken.includes(answer)) expect(answer).toMatchObject({ status, challenge });
    expect(server.calls.length - before).toBe(1);
    // nor a second time, later
    expect(await sendProven(proof)).toMatchObject(unproven);
  });

  test('says which proofs it takes where it says which tokens', async () => {
    const metadata = await (await fetch(`${people.gateway.publicUrl}/.well-known/oauth-protected-resource/mcp/counting`)).json();
    expect(metadata).toMatchObject({ dpop_signing_alg_values_supported: expect.arrayContaining(['ES256']) });
  });

  test('refuses a bearer token that is sent as if it were bound', async () => {
    const free = (await people.logIn('ada', toolsetUrl)).access_token;
    const proof = await key.prove({ url: toolsetUrl, token: free });
    expect(await send({ authorization: `DPoP ${free}`, dpop: proof })).toMatchObject(unproven);
    expect(await send({ authorization: `Bearer ${free}`, dpop: proof })).toMatchObject({ status: 200 });
  });
});

describe('models and the api', () => {
  test('take a bound token with a proof alone, the api at its own address and at the gateway’s', async () => {
    const models = `${people.gateway.publicUrl}/v1`;
    const { access_token: forModels } = await logIn(models);
    const { access_token: forApi } = await logIn(people.apiResource);
    const places: [string, string][] = [
      [forModels, `${models}/models`],
      [forApi, `${people.apiUrl}/api/v1alpha1/whoami`],
      [forApi, `${people.gateway.publicUrl}/api/v1alpha1/whoami`],
    ];
    for (const [token, url] of places) {
      const get = async (headers: Record<string, string>) => (await fetch(url, { headers })).status;
      const proof = await key.prove({ method: 'GET', url, token });
      expect(await get({ authorization: `Bearer ${token}` })).toBe(401);
      expect(await get({ authorization: `DPoP ${token}`, dpop: await thief.prove({ method: 'GET', url, token }) })).toBe(401);
      expect(await get({ authorization: `DPoP ${token}`, dpop: proof })).toBe(200);
      expect(await get({ authorization: `DPoP ${token}`, dpop: proof })).toBe(401);
    }
  });
});

describe('clients without a login', () => {
  const basic = (name: string) => ({
    authorization: `Basic ${Buffer.from(`${encodeURIComponent(`default/default/${name}`)}:${encodeURIComponent(machineSecret)}`).toString('base64')}`,
  });
  const itself = { grant_type: 'client_credentials', resource: '' };
  const nowSeconds = () => Math.floor(Date.now() / 1000);

  test('that are declared to have bound tokens get no other, and those count with a proof', async () => {
    const wanted = { ...itself, resource: toolsetUrl };
    expect(await people.token(wanted, basic('careful'))).toMatchObject({ status: 400, body: { error: 'invalid_dpop_proof' } });
    const proof = await key.prove({ url: tokenUrl });
    const { status, body } = await people.token(wanted, { ...basic('careful'), dpop: proof });
    expect({ status, type: body.token_type }).toEqual({ status: 200, type: 'DPoP' });
    expect(await people.token(wanted, { ...basic('careful'), dpop: proof })).toMatchObject({ status: 400 });
    const token = body.access_token as string;
    expect(await send({ authorization: `Bearer ${token}` })).toMatchObject(unproven);
    const shown = await key.prove({ url: toolsetUrl, token });
    expect(await send({ authorization: `DPoP ${token}`, dpop: shown })).toMatchObject({ status: 200, reached: 1 });
  });

  test.each(['id-jag', 'token-exchange'])('bring what is bound to a key (%s) with a proof of it, or get nothing', async (grant) => {
    const common = {
      iss: people.company.issuer,
      sub: 'u-0001',
      email: 'Ada.Lovelace@example.test',
      iat: nowSeconds(),
      exp: nowSeconds() + 300,
    };
    const make = (cnf: object) =>
      grant === 'id-jag'
        ? people.company.sign(
            {
              ...common,
              cnf,
              aud: people.issuerUrl,
              client_id: 'default/default/machine',
              resource: toolsetUrl,
              scope: 'mcp',
              jti: randomUUID(),
            },
            { typ: 'oauth-id-jag+jwt' },
          )
        : people.company.sign({ ...common, cnf, aud: 'the-portal' }, { typ: 'JWT' });
    const bring = (shown: string, proof?: string) =>
      people.token(
        grant === 'id-jag'
          ? { grant_type: jwtBearer, assertion: shown }
          : {
              grant_type: tokenExchange,
              subject_token: shown,
              subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
              resource: toolsetUrl,
            },
        { ...basic('machine'), ...(proof === undefined ? {} : { dpop: proof }) },
      );
    const bound = await make({ jkt: key.thumbprint });
    const refused = { status: 400, body: { error: 'invalid_grant' } };
    expect(await bring(bound)).toMatchObject(refused);
    expect(await bring(bound, await thief.prove({ url: tokenUrl }))).toMatchObject(refused);
    expect(await bring(await make({ 'x5t#S256': 'a'.repeat(43) }))).toMatchObject(refused);
    // it was not used up by any of that
    const { status, body } = await bring(bound, await key.prove({ url: tokenUrl }));
    expect({ status, cnf: decodeJwt(body.access_token).cnf }).toEqual({ status: 200, cnf: { jkt: key.thumbprint } });
  });
});
