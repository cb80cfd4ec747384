import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRunTokens } from '../../activities/run-tokens.ts';
import { createFileProofs, createJoinedProofs } from '../../activities/worker-proof.ts';
import { makeJoinToken } from '../../control/issuer/join-token.ts';
import { createSvidProver } from '../../control/issuer/prove-jwt-svid.ts';
import { workerClientId, workerJoinGrant, workerProofTypes } from '../../schema/worker-proof.ts';
import { createWorkerKeys } from '../../store/worker-keys.ts';
import { agentId, joinKey, type RunningIssuer, runningAgent, startRunningIssuer, toolsetUrl } from '../support/running-issuer.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
const signal = AbortSignal.timeout(120_000);
const trustDomain = 'prod.example';
let folder: string;
let issuer: RunningIssuer;
let now = Date.now();

type Keys = Awaited<ReturnType<typeof generateKeyPair>>;
let spire: Keys;
const writeJwks = async (keys: Keys, kid: string): Promise<void> =>
  writeFileSync(join(folder, 'jwks.json'), JSON.stringify({ keys: [{ ...(await exportJWK(keys.publicKey)), kid, use: 'jwt-svid' }] }));

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-workers-'));
  spire = await generateKeyPair('ES256');
  await writeJwks(spire, 'spire-1');
  issuer = await startRunningIssuer({
    clock: () => new Date(now),
    workerKeys: createWorkerKeys(database()),
    workers: { spiffe: { trustDomain, jwks: { file: join(folder, 'jwks.json') } } },
  });
});
afterAll(async () => {
  await issuer.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('a worker that joins', () => {
  const newKey = async () => {
    const { publicKey } = await generateKeyPair('ES256');
    const { kty, crv, x, y } = await exportJWK(publicKey);
    return { kty, crv, x, y };
  };
  const joinWith = async (join_token: string, key: object, changes: Record<string, string> = {}) =>
    issuer.post(
      new URLSearchParams({ grant_type: workerJoinGrant, client_id: workerClientId, join_token, key: JSON.stringify(key), ...changes }),
    );

  test('needs a token that was made for this installation, is fresh, and is whole', async () => {
    const key = await newKey();
    const good = makeJoinToken(joinKey, { now });
    const [content = '', signature = ''] = good.split('.');
    const longer = Buffer.from(JSON.stringify({ id: 'x'.repeat(22), tier: 'apply', exp: 9e9 })).toString('base64url');
    const bad = [
      makeJoinToken('another-key-for-join-tokens-of-32-characters', { now }),
      makeJoinToken(joinKey, { now: now - 61_000 }),
      makeJoinToken(joinKey, { now: now + 5_000 }),
      `${longer}.${signature}`,
      content,
      `${content}.`,
      `${good}.x`,
    ];
    for (const token of bad) expect(await joinWith(token, key), token).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    expect((await joinWith(good, key)).status).toBe(200);
  });

  test('uses its token up: of twenty who show the same one, one gets in', async () => {
    const token = makeJoinToken(joinKey, { now });
    const answers = await Promise.all(Array.from({ length: 20 }, async () => joinWith(token, await newKey())));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ body }) => body.error === 'invalid_grant')).toHaveLength(19);
    expect(issuer.logLines.join()).toContain('join-token-used-twice');
  });

  test('shows no private key, no other kind of key, and nothing else', async () => {
    const key = await newKey();
    for (const spoilt of [{ ...key, d: 'x'.repeat(43) }, { ...key, crv: 'P-384' }, { kty: 'oct', k: 'secret' }, [], { ...key, kid: 'x' }])
      expect((await joinWith(makeJoinToken(joinKey, { now }), spoilt)).body.error).toBe('invalid_request');
    expect((await joinWith(makeJoinToken(joinKey, { now }), key, { tier: 'apply' })).body.error).toBe('invalid_request');
    expect((await joinWith(makeJoinToken(joinKey, { now }), key, { key: 'not json' })).body.error).toBe('invalid_request');
    expect((await joinWith(makeJoinToken(joinKey, { now }), key, { client_id: 'quarterdeck-cli' })).body.error).toBe('invalid_client');
  });

  test('shows a proof once, for this issuer, and before it is a minute old', async () => {
    const proof = await issuer.prove();
    const wrongAudience = await createJoinedProofs({ issuerUrl: issuer.issuerUrl, joinToken: issuer.joinToken, clock: () => now }).prove(
      signal,
    );
    expect((await issuer.exchange({ actor_token: proof })).status).toBe(200);
    expect((await issuer.exchange({ actor_token: proof })).body.error).toBe('invalid_client');
    const spoilt = wrongAudience.token.split('.');
    const claims = { ...JSON.parse(Buffer.from(spoilt[1] ?? '', 'base64url').toString()), aud: 'http://elsewhere/token' };
    const forged = [spoilt[0], Buffer.from(JSON.stringify(claims)).toString('base64url'), spoilt[2]].join('.');
    expect((await issuer.exchange({ actor_token: forged })).body.error).toBe('invalid_client');
    const old = await issuer.prove();
    now += 120_000;
    expect((await issuer.exchange({ actor_token: old })).body.error).toBe('invalid_client');
  });

  test('that is not known any more joins again by itself, once, and its calls go on', async () => {
    let joins = 0;
    const joinToken = () => {
      joins += 1;
      return issuer.joinToken();
    };
    const proofs = createJoinedProofs({ issuerUrl: issuer.issuerUrl, joinToken, clock: () => now });
    const tokens = createRunTokens({ issuerUrl: issuer.issuerUrl, proofs, clock: () => now });
    const another = 'default/default/survey/run_1/read/reader/1';
    issuer.rows.set(another, { ...runningAgent, agentId: another });
    await Promise.all([tokens.tokenFor(agentId, toolsetUrl, signal), tokens.tokenFor(another, toolsetUrl, signal)]);
    expect(joins).toBe(1);
    await database().$client.query("delete from issuer_records where model = 'WorkerKey'");
    tokens.forget(agentId, toolsetUrl);
    await expect(tokens.tokenFor(agentId, toolsetUrl, signal)).resolves.toMatch(/^ey/);
    expect(joins).toBe(2);
    // before its hour is over it joins anew, without being refused first
    now += 3_590_000;
    await tokens.tokenFor(agentId, toolsetUrl, signal);
    expect(joins).toBe(3);
    const refused = createRunTokens({
      issuerUrl: issuer.issuerUrl,
      proofs: createJoinedProofs({ issuerUrl: issuer.issuerUrl, joinToken: async () => 'guessed', clock: () => now }),
    });
    await expect(refused.tokenFor(agentId, toolsetUrl, signal)).rejects.toMatchObject({ code: 'token_refused' });
  });
});

describe('a JWT-SVID', () => {
  const svid = (
    sub: string,
    changes: { aud?: string | string[]; exp?: number; typ?: string; alg?: string; kid?: string } = {},
    keys = spire,
  ) =>
    new SignJWT({})
      .setProtectedHeader({ alg: changes.alg ?? 'ES256', kid: changes.kid ?? 'spire-1', ...(changes.typ ? { typ: changes.typ } : {}) })
      .setSubject(sub)
      .setAudience(changes.aud ?? `${issuer.issuerUrl}/token`)
      .setIssuedAt(Math.floor(now / 1000))
      .setExpirationTime(changes.exp ?? Math.floor(now / 1000) + 300)
      .sign(keys.privateKey);
  const ask = async (token: string | Promise<string>, type: string = workerProofTypes.spiffe) =>
    issuer.exchange({ actor_token: await token, actor_token_type: type });
  const pool = `spiffe://${trustDomain}/worker-pool/default`;

  test('of a worker pool gets tokens of the agents of its tier, and no others', async () => {
    expect((await ask(svid(pool))).status).toBe(200);
    expect((await ask(svid(pool, { typ: 'JWT' }))).status).toBe(200);
    expect((await ask(svid(`spiffe://${trustDomain}/worker-pool/apply`))).body.error).toBe('invalid_grant');
    issuer.rows.set(agentId, { ...runningAgent, taskQueueTier: 'apply' });
    expect((await ask(svid(`spiffe://${trustDomain}/worker-pool/apply`))).status).toBe(200);
    expect((await ask(svid(pool))).body.error).toBe('invalid_grant');
    issuer.rows.set(agentId, runningAgent);
  });

  test.each([
    ['/org/default', 200],
    ['/org/default/fleet/survey', 200],
    ['/org/default/project/default/fleet/survey/agent/reader', 200],
    ['/org/default/fleet/survey/agent/reader', 200],
    ['/org/other', 400],
    ['/org/default/fleet/other', 400],
    ['/org/default/project/other', 400],
    ['/org/default/fleet/survey/agent/writer', 400],
  ])('whose path says %s is answered %i: it speaks for these agents alone', async (path, status) => {
    expect((await ask(svid(`spiffe://${trustDomain}${path}`))).status).toBe(status);
  });

  test.each([
    `spiffe://other.example/worker-pool/default`,
    `spiffe://${trustDomain}.evil/worker-pool/default`,
    `spiffe://${trustDomain}/worker-pool/default/`,
    `spiffe://${trustDomain}/worker-pool/../worker-pool/default`,
    `spiffe://${trustDomain}//worker-pool/default`,
    `spiffe://${trustDomain}/worker-pool/de%66ault`,
    `spiffe://${trustDomain}/worker-pool`,
    `spiffe://${trustDomain}/fleet/survey`,
    `spiffe://${trustDomain}/fleet/survey/org/default`,
    `spiffe://${trustDomain}/org/default/org/default`,
    `spiffe://${trustDomain}/org/default/fleet`,
    `spiffe://${trustDomain}`,
    'https://prod.example/worker-pool/default',
  ])('of %s is nobody’s here', async (id) => {
    expect(await ask(svid(id))).toMatchObject({ status: 400, body: { error: 'invalid_client' } });
  });

  test('for another audience, out of date, too long-lived, signed by somebody else or shown as another kind is refused', async () => {
    const seconds = Math.floor(now / 1000);
    const stranger = await generateKeyPair('ES256');
    const hmac = await new SignJWT({})
      .setProtectedHeader({ alg: 'HS256', kid: 'spire-1' })
      .setSubject(pool)
      .setAudience(`${issuer.issuerUrl}/token`)
      .setExpirationTime(seconds + 300)
      .sign(Buffer.from(JSON.stringify(await exportJWK(spire.publicKey))));
    for (const token of [
      svid(pool, { aud: issuer.issuerUrl }),
      svid(pool, { aud: toolsetUrl }),
      svid(pool, { exp: seconds - 60 }),
      svid(pool, { exp: seconds + 7200 }),
      svid(pool, { typ: 'at+jwt' }),
      svid(pool, { kid: 'spire-2' }),
      svid(pool, {}, stranger),
      hmac,
      'garbage',
    ])
      expect(await ask(token)).toMatchObject({ status: 400, body: { error: 'invalid_client' } });
    expect((await ask(svid(pool), workerProofTypes.joined)).status).toBe(400);
    expect((await ask(issuer.prove())).status).toBe(400);
    // not configured here
    expect((await ask(svid(pool), workerProofTypes.kubernetes)).status).toBe(400);
  });

  test('is refused by keys that were replaced, taken by the new ones, and nobody gets in while there are none', async () => {
    const next = await generateKeyPair('ES256');
    const [before, after] = [await svid(pool), await svid(pool, { kid: 'spire-2' }, next)];
    await writeJwks(next, 'spire-2');
    expect([(await ask(before)).status, (await ask(after)).status]).toEqual([400, 200]);
    rmSync(join(folder, 'jwks.json'));
    expect((await ask(after)).status).toBe(503);
    writeFileSync(join(folder, 'jwks.json'), 'not json');
    expect((await ask(after)).status).toBe(503);
    await writeJwks(spire, 'spire-1');
  });

  test('is read anew from its file by the worker for each token it asks for', async () => {
    const file = join(folder, 'svid');
    const tokens = createRunTokens({ issuerUrl: issuer.issuerUrl, proofs: createFileProofs({ kind: 'spiffe', file }), clock: () => now });
    await expect(tokens.tokenFor(agentId, toolsetUrl, signal)).rejects.toMatchObject({ code: 'server_unavailable', isRetryable: true });
    writeFileSync(file, `${await svid(`spiffe://${trustDomain}/org/other`)}\n`);
    await expect(tokens.tokenFor(agentId, toolsetUrl, signal)).rejects.toMatchObject({ code: 'token_refused' });
    writeFileSync(file, `${await svid(pool)}\n`);
    await expect(tokens.tokenFor(agentId, toolsetUrl, signal)).resolves.toMatch(/^ey/);
  });

  test('is checked by the keys of a bundle endpoint, and by none while that does not answer', async () => {
    const [x509, bundle] = [await generateKeyPair('ES256'), { status: 200 }];
    const keys = [
      { ...(await exportJWK(x509.publicKey)), kid: 'x509', use: 'x509-svid' },
      { ...(await exportJWK(spire.publicKey)), kid: 'spire-1', use: 'jwt-svid' },
    ];
    const endpoint = createServer((_request, response) => response.writeHead(bundle.status).end(JSON.stringify({ keys }))).listen(
      0,
      '127.0.0.1',
    );
    await once(endpoint, 'listening');
    const url = `http://127.0.0.1:${(endpoint.address() as { port: number }).port}`;
    const proverOf = () =>
      createSvidProver({ trust: { trustDomain, jwks: { url } }, audience: `${issuer.issuerUrl}/token`, clock: () => new Date(now) });
    const prove = proverOf();
    expect(await prove(await svid(pool))).toMatchObject({ ok: true, worker: { trustTier: 'default', name: pool } });
    expect(await prove(await svid(pool, { kid: 'x509' }, x509))).toEqual({ ok: false, reason: 'proof_not_valid' });
    bundle.status = 500;
    await expect(proverOf()(await svid(pool))).rejects.toThrow();
    endpoint.close();
    endpoint.closeAllConnections();
    await expect(proverOf()(await svid(pool))).rejects.toThrow();
  });
});
