import { createHmac, createPublicKey } from 'node:crypto';
import { base64url, exportJWK, generateKeyPair, importJWK, type JWK, type JWTPayload, SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { makeSigningKey } from '../../control/issuer/make-signing-key.ts';
import { type AccessTokenClaims, createAccessTokenVerifier } from '../../gateway/auth/verify-access-token.ts';
import { agentId, modelsUrl, type RunningIssuer, resourceBase, startRunningIssuer, toolsetUrl } from '../support/running-issuer.ts';

const start = new Date('2026-10-01T12:00:00Z');
let now = start;
let issuer: RunningIssuer;
let verify: (token: string, audience: string) => Promise<AccessTokenClaims>;
let keyRequests = 0;

const countedFetch = (url: string, options: RequestInit) => {
  keyRequests += 1;
  return fetch(url, options);
};
/** A verifier whose answers are promises, remembered ones too. */
const verifierOf = (options: Parameters<typeof createAccessTokenVerifier>[0]) => {
  const check = createAccessTokenVerifier(options);
  return async (token: string, audience: string) => check(token, audience);
};
const newVerifier = ({ jwksUri = issuer.jwksUri }: { jwksUri?: string } = {}) =>
  verifierOf({ issuerUrl: issuer.issuerUrl, jwksUri, clock: () => now, fetchJwks: countedFetch });

beforeAll(async () => {
  issuer = await startRunningIssuer({ clock: () => now });
});
afterAll(() => issuer.close());
beforeEach(() => {
  now = start;
  keyRequests = 0;
  verify = newVerifier();
});
afterEach(() => {
  vi.useRealTimers();
});

const later = (seconds: number) => new Date(start.getTime() + seconds * 1000);

const claims = (change: JWTPayload = {}): JWTPayload => {
  const iat = start.getTime() / 1000;
  const agent = { org: 'default', project: 'default', fleet: 'survey', run: 'run_1', role: 'reader' };
  const registered = {
    iss: issuer.issuerUrl,
    aud: toolsetUrl,
    sub: 'default/admin',
    client_id: 'worker',
    jti: 'forged-1',
    iat,
    exp: iat + 300,
  };
  return { ...registered, ...agent, act: { sub: agentId }, scope: 'mcp', ...change };
};

/** Signs with the issuer's own key whatever a test wants to see refused; `undefined` leaves a claim out. */
const sign = async (change: JWTPayload = {}, header: Record<string, unknown> = {}, signingKey: JWK | undefined = issuer.signingKeys[0]) =>
  new SignJWT(JSON.parse(JSON.stringify(claims(change))))
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: issuer.signingKeys[0]?.kid, ...header })
    .sign(await importJWK(signingKey ?? {}, 'ES256'));

const encode = (value: unknown) => base64url.encode(JSON.stringify(value));
const refusal = { name: 'PlatformError', code: 'token_refused', isRetryable: false };
const expectRefused = async (token: string, audience = toolsetUrl) => {
  await expect(verify(token, audience)).rejects.toMatchObject(refusal);
  // the second time it must not be taken from the cache either
  await expect(verify(token, audience)).rejects.toMatchObject(refusal);
};

test('accepts the issuer’s own token for its audience and returns its claims, frozen', async () => {
  const accepted = await verify(await issuer.mint(), toolsetUrl);
  expect(accepted).toMatchObject({
    aud: toolsetUrl,
    sub: 'default/admin',
    act: { sub: agentId },
    run: 'run_1',
    role: 'reader',
    scope: 'mcp',
  });
  expect(Object.isFrozen(accepted) && Object.isFrozen(accepted.act)).toBe(true);
  expect(await verify(await issuer.mint({ resource: modelsUrl }), modelsUrl)).toMatchObject({ scope: 'models' });
});

test('answers for a token that it knows without a promise', async () => {
  const check = createAccessTokenVerifier({ issuerUrl: issuer.issuerUrl, jwksUri: issuer.jwksUri, clock: () => now });
  const token = await issuer.mint();
  const first = await check(token, toolsetUrl);
  expect(check(token, toolsetUrl)).toBe(first);
});

test('the forger of these tests makes a token that would pass, so that each attack fails for its own reason', async () => {
  await expect(verify(await sign(), toolsetUrl)).resolves.toMatchObject({ jti: 'forged-1' });
});

describe('refuses', () => {
  test('a token for a sibling server, at the models or at a longer address, also when it is known already', async () => {
    const token = await issuer.mint();
    await verify(token, toolsetUrl);
    for (const sibling of [`${resourceBase}/mcp/default/default/secrets`, modelsUrl, `${toolsetUrl}/`, resourceBase, '']) {
      await expect(verify(token, sibling)).rejects.toMatchObject({ ...refusal, detail: expect.stringContaining('another server') });
    }
    await expect(newVerifier()(token, modelsUrl)).rejects.toMatchObject(refusal);
    await expect(verify(token, toolsetUrl)).resolves.toBeDefined();
  });

  test('two audiences, even where one of them is right, and a list of one', async () => {
    await expectRefused(await sign({ aud: [toolsetUrl, modelsUrl] }));
    await expectRefused(await sign({ aud: [toolsetUrl] }));
  });

  test('an ID token of the same issuer and key', async () => {
    for (const typ of ['JWT', undefined, 'jwt', 'logout+jwt', 'dpop+jwt']) await expectRefused(await sign({ nonce: 'n' }, { typ }));
  });

  test('alg none, in any spelling and with any signature', async () => {
    const token = await issuer.mint();
    const [, body = '', signature = ''] = token.split('.');
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
      const header = encode({ alg, typ: 'at+jwt', kid: issuer.signingKeys[0]?.kid });
      for (const end of ['', signature]) await expectRefused(`${header}.${body}.${end}`);
    }
  });

  test('HS256 with the public key as the secret', async () => {
    const { d: _private, ...publicJwk } = issuer.signingKeys[0] as JWK;
    const pem = createPublicKey({ key: publicJwk as never, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    for (const secret of [String(pem), JSON.stringify(publicJwk), String(publicJwk.x)]) {
      const input = `${encode({ alg: 'HS256', typ: 'at+jwt', kid: publicJwk.kid })}.${encode(claims())}`;
      await expectRefused(`${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`);
    }
  });

  test('a payload, header or signature that was changed after signing', async () => {
    const token = await issuer.mint();
    await verify(token, toolsetUrl);
    const [header = '', body = '', signature = ''] = token.split('.');
    await expectRefused(`${header}.${encode({ ...JSON.parse(String(Buffer.from(body, 'base64url'))), sub: 'default/root' })}.${signature}`);
    await expectRefused(`${encode({ alg: 'ES256', typ: 'at+jwt' })}.${body}.${signature}`);
    await expectRefused(`${header}.${body}.${signature.slice(0, -4)}AAAA`);
    await expectRefused(`${header}.${body}.`);
  });

  test('the key of an attacker, whether it hides behind our kid or comes in the header', async () => {
    const attacker = await makeSigningKey();
    const { d: _private, ...jwk } = attacker;
    await expectRefused(await sign({}, {}, attacker));
    await expectRefused(await sign({}, { kid: attacker.kid, jwk, jku: 'http://evil.example/jwks' }, attacker));
  });

  test('an algorithm other than ES256, even by a key that is published', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES384', { extractable: true });
    const published = { keys: [{ ...(await exportJWK(publicKey)), kid: 'es384', alg: 'ES384' }] };
    verify = verifierOf({
      issuerUrl: issuer.issuerUrl,
      jwksUri: issuer.jwksUri,
      clock: () => now,
      fetchJwks: async () => Response.json(published),
    });
    await expectRefused(await new SignJWT(claims()).setProtectedHeader({ alg: 'ES384', typ: 'at+jwt', kid: 'es384' }).sign(privateKey));
  });

  test('another issuer, also one that differs by a slash', async () => {
    for (const iss of ['https://issuer.example', `${issuer.issuerUrl}/`, undefined]) await expectRefused(await sign({ iss }));
  });

  test('a token past its end, with at most 30 seconds of skew, also when it is known already', async () => {
    const token = await issuer.mint();
    await verify(token, toolsetUrl);
    now = later(329);
    await expect(verify(token, toolsetUrl)).resolves.toBeDefined();
    now = later(331);
    await expect(verify(token, toolsetUrl)).rejects.toMatchObject({ ...refusal, detail: expect.stringContaining('expired') });
  });

  test('a token of the future and one that is not valid yet', async () => {
    const seconds = start.getTime() / 1000;
    await expectRefused(await sign({ iat: seconds + 60, exp: seconds + 200 }));
    await expectRefused(await sign({ nbf: seconds + 60 }));
    await expect(verify(await sign({ nbf: seconds + 20 }), toolsetUrl)).resolves.toBeDefined();
  });

  test('a token that is meant to live longer than five minutes', async () => {
    const seconds = start.getTime() / 1000;
    await expectRefused(await sign({ exp: seconds + 301 }));
    await expectRefused(await sign({ iat: seconds - 600, exp: seconds + 60 }));
  });

  test.each(['iss', 'aud', 'sub', 'act', 'client_id', 'jti', 'iat', 'exp', 'org', 'project', 'fleet', 'run', 'role', 'scope'])(
    'a token without %s',
    async (claim) => expectRefused(await sign({ [claim]: undefined })),
  );

  test('claims of another shape', async () => {
    const wrong = [
      { act: agentId },
      { act: {} },
      { act: [{ sub: agentId }] },
      { scope: 'mcp models' },
      { scope: 'admin' },
      { org: '' },
      { run: 7 },
    ];
    for (const change of wrong) await expectRefused(await sign(change as JWTPayload));
    await expectRefused(await sign({ sub: 'other-org/admin' }));
  });

  test('a token of more than four kilobytes, however well it is signed', async () => {
    await expect(verify(await sign({ note: 'x'.repeat(2_000) }), toolsetUrl)).resolves.toBeDefined();
    await expectRefused(await sign({ note: 'x'.repeat(4_000) }));
  });

  test('an extension it does not understand but that is marked critical', async () => {
    const [, body = '', signature = ''] = (await sign()).split('.');
    await expectRefused(`${encode({ alg: 'ES256', typ: 'at+jwt', crit: ['x'], x: 1 })}.${body}.${signature}`);
  });

  test.each(['', '.', '..', 'a.b.c', 'Bearer x', 'eyJhbGciOiJFUzI1NiJ9.e30.', 'x'.repeat(5_000), '{"alg":"ES256"}', '\u0000'])(
    'text that is no token: %j',
    (text) => expectRefused(text),
  );

  test('without saying in the error what was in the token', async () => {
    const token = await sign({ iss: 'https://issuer.example' });
    const error = await verify(token, toolsetUrl).catch((thrown: unknown) => thrown as { detail: string; message: string });
    expect(`${(error as { detail: string }).detail}`).not.toMatch(/issuer\.example|eyJ/);
  });
});

test('sees the outermost actor alone: a privileged one nested in it is not in the claims', async () => {
  const accepted = await verify(await sign({ act: { sub: agentId, act: { sub: 'default/default/ops/run_9/apply/admin/0' } } }), toolsetUrl);
  expect(accepted.act).toEqual({ sub: agentId });
  await expectRefused(await sign({ jti: 'nested-only', act: { act: { sub: agentId } } }));
});

test('refuses a chain of more than three actors, and one that is none', async () => {
  const chain = (length: number): object => ({ sub: agentId, ...(length > 1 ? { act: chain(length - 1) } : {}) });
  expect((await verify(await sign({ jti: 'three', act: chain(3) }), toolsetUrl)).act).toEqual({ sub: agentId });
  for (const [jti, act] of Object.entries({
    four: chain(4),
    hundred: chain(100),
    text: { sub: agentId, act: 'x' },
    none: { sub: agentId, act: {} },
  }))
    await expectRefused(await sign({ jti, act }));
});

describe('the issuer’s keys', () => {
  test('are fetched once for many tokens', async () => {
    const tokens = await Promise.all(Array.from({ length: 20 }, () => issuer.mint()));
    await Promise.all([...tokens, ...tokens].map((token) => verify(token, toolsetUrl)));
    expect(keyRequests).toBe(1);
  });

  test('are not fetched again for each invented kid, but at most every five seconds', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    await verify(await sign(), toolsetUrl);
    for (let attempt = 0; attempt < 50; attempt += 1) await expectRefused(await sign({}, { kid: `invented-${attempt}` }));
    expect(keyRequests).toBe(1);
    vi.setSystemTime(Date.now() + 5_001);
    await expectRefused(await sign({}, { kid: 'invented' }));
    expect(keyRequests).toBe(2);
  });

  test('may be rotated: the next key is found, and one that is no longer published is refused after a minute', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const [oldKey, newKey] = [await makeSigningKey(), await makeSigningKey()];
    let published = [oldKey];
    const rotating = verifierOf({
      issuerUrl: issuer.issuerUrl,
      jwksUri: issuer.jwksUri,
      clock: () => now,
      fetchJwks: async () => Response.json({ keys: published.map(({ d: _private, ...key }) => key) }),
    });
    const signed = (jti: string, key: JWK) => sign({ jti }, { kid: key.kid }, key);
    await rotating(await signed('1', oldKey), toolsetUrl);
    published = [newKey, oldKey];
    vi.setSystemTime(Date.now() + 5_001);
    await rotating(await signed('2', newKey), toolsetUrl);
    await rotating(await signed('3', oldKey), toolsetUrl);
    published = [newKey];
    vi.setSystemTime(Date.now() + 60_001);
    await rotating(await signed('4', newKey), toolsetUrl);
    await expect(rotating(await signed('5', oldKey), toolsetUrl)).rejects.toMatchObject(refusal);
  });
});

describe('while the issuer is away', () => {
  const unavailable = { name: 'PlatformError', code: 'server_unavailable', isRetryable: true };

  test('a token cannot be checked if no key is known; the caller may try again, and it works once the issuer is back', async () => {
    const passing = await startRunningIssuer({ clock: () => now });
    const check = verifierOf({ issuerUrl: passing.issuerUrl, jwksUri: passing.jwksUri, clock: () => now });
    const token = await passing.mint();
    await passing.close();
    await expect(check(token, toolsetUrl)).rejects.toMatchObject(unavailable);
    const { signingKeys, port } = passing;
    const back = await startRunningIssuer({ clock: () => now, signingKeys, port });
    try {
      await expect(check(token, toolsetUrl)).resolves.toBeDefined();
    } finally {
      await back.close();
    }
  });

  test('the last known keys still serve, and an unknown kid is "try again", not "refused"', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const passing = await startRunningIssuer({ clock: () => now });
    const check = verifierOf({ issuerUrl: passing.issuerUrl, jwksUri: passing.jwksUri, clock: () => now });
    const [first, second] = [await passing.mint(), await passing.mint()];
    await check(first, toolsetUrl);
    await passing.close();
    vi.setSystemTime(Date.now() + 3_600_000);
    await expect(check(second, toolsetUrl)).resolves.toBeDefined();
    const foreign = await sign({ iss: passing.issuerUrl }, { kid: 'next' });
    await expect(check(foreign, toolsetUrl)).rejects.toMatchObject(unavailable);
    await expect(check(`${second.slice(0, -4)}AAAA`, toolsetUrl)).rejects.toMatchObject(refusal);
  });

  test('an answer that holds no keys counts as none', async () => {
    for (const answer of [new Response('no', { status: 500 }), new Response('<html>'), Response.json({ keys: 'none' })]) {
      const fetchJwks = async () => answer;
      const check = verifierOf({ issuerUrl: issuer.issuerUrl, jwksUri: issuer.jwksUri, clock: () => now, fetchJwks });
      await expect(check(await sign(), toolsetUrl)).rejects.toMatchObject(unavailable);
    }
  });
});

test('remembers the 10,000 tokens used last and checks the signature of a forgotten one again', { timeout: 60_000 }, async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  const key = await importJWK(issuer.signingKeys[0] ?? {}, 'ES256');
  const { d: _private, ...publicKey } = issuer.signingKeys[0] ?? {};
  let published: JWK[] = [publicKey];
  const fetchJwks = async () => Response.json({ keys: published });
  const check = verifierOf({ issuerUrl: issuer.issuerUrl, jwksUri: issuer.jwksUri, clock: () => now, fetchJwks });
  const make = (jti: string) =>
    new SignJWT(claims({ jti })).setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: publicKey.kid }).sign(key);

  const [used, idle] = [await make('used'), await make('idle')];
  await check(used, toolsetUrl);
  await check(idle, toolsetUrl);
  const oldestKept = await make('t0');
  await check(oldestKept, toolsetUrl);
  for (let index = 1; index < 9_999; index += 1) {
    if (index === 5_000) await check(used, toolsetUrl);
    await check(await make(`t${index}`), toolsetUrl);
  }
  // without its key, only what is remembered can still pass
  published = [];
  vi.setSystemTime(Date.now() + 60_001);
  await expect(check(used, toolsetUrl)).resolves.toMatchObject({ jti: 'used' });
  await expect(check(oldestKept, toolsetUrl)).resolves.toMatchObject({ jti: 't0' });
  await expect(check(idle, toolsetUrl)).rejects.toMatchObject(refusal);
});
