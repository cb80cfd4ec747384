import { Client, type OAuthClientProvider, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';
import { decodeJwt, importJWK, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tokenExchangeGrant } from '../../control/issuer/exchange-run-token.ts';
import { createGuardedFetch } from '../../control/issuer/guarded-fetch.ts';
import { isPublicAddress } from '../../schema/network-address.ts';
import { createBrowser } from '../support/browser.ts';
import { startCountingServer } from '../support/counting-server.ts';
import { startDocumentServer, testCertificate } from '../support/document-server.ts';
import { pollUntil } from '../support/poll-until.ts';
import { type RunningPeople, startRunningPeople } from '../support/running-people.ts';

const redirectUrl = 'http://127.0.0.1:5/callback';

let people: RunningPeople;
let server: Awaited<ReturnType<typeof startCountingServer>>;
let documents: Awaited<ReturnType<typeof startDocumentServer>>;
let toolsetUrl: string;

/** What the document of a client says; a test changes it. */
const documentOf = (path: string): Record<string, unknown> => ({
  client_id: `${documents.url}${path}`,
  client_name: 'An agent client <b>of somebody</b>',
  redirect_uris: [redirectUrl],
  application_type: 'native',
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  token_endpoint_auth_method: 'none',
});

beforeAll(async () => {
  documents = await startDocumentServer((request, response) => {
    const path = request.url ?? '';
    if (path === '/moved.json') return void response.writeHead(302, { location: '/client.json' }).end();
    if (path === '/slow.json') return;
    if (path === '/plain-http.json')
      return void response.end(
        JSON.stringify({ ...documentOf(path), application_type: 'web', redirect_uris: ['http://evil.example.test/cb'] }),
      );
    if (path === '/grants.json')
      return void response.end(JSON.stringify({ ...documentOf(path), grant_types: ['authorization_code', tokenExchangeGrant] }));
    const text = JSON.stringify(path === '/other.json' ? documentOf('/client.json') : documentOf(path));
    response.setHeader('content-type', 'application/json').end(path === '/huge.json' ? text.padEnd(200_000) : text);
  });
  server = await startCountingServer();
  people = await startRunningPeople({
    people: { allowsRegistration: true },
    guardedFetch: createGuardedFetch({ allowsLoopback: true, authorities: testCertificate }),
  });
  await people.gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url, timeoutSeconds: 5 } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
    { kind: 'AccessBinding', metadata: { name: 'engineers' }, spec: { subjects: [{ group: 'engineering' }], toolsets: ['counting'] } },
    {
      kind: 'OAuthClient',
      metadata: { name: 'agent' },
      spec: { displayName: 'The agent client', redirectUris: ['http://127.0.0.1/callback'] },
    },
  );
  await people.gateway.ready('counting');
  toolsetUrl = `${people.gateway.publicUrl}/mcp/counting`;
});
afterAll(async () => {
  await people.close();
  await server.close();
  documents.close();
});

/** The SDK's own client, which knows the address of a toolset and nothing else; a person logs in where it sends them. */
const connectWithSdk = async (known: { client_id?: string; clientMetadataUrl?: string }) => {
  const kept: { verifier?: string; tokens?: unknown; client?: unknown; url?: URL; discovery?: unknown } = {};
  const authProvider: OAuthClientProvider = {
    redirectUrl,
    ...(known.clientMetadataUrl ? { clientMetadataUrl: known.clientMetadataUrl } : {}),
    clientMetadata: {
      client_name: 'SDK',
      redirect_uris: [redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      application_type: 'native',
    },
    clientInformation: () => (known.client_id ? { client_id: known.client_id, issuer: people.issuerUrl } : (kept.client as never)),
    saveClientInformation: (information) => {
      kept.client = information;
    },
    saveDiscoveryState: (state) => {
      kept.discovery = state;
    },
    discoveryState: () => kept.discovery as never,
    tokens: () => kept.tokens as never,
    saveTokens: (tokens) => {
      kept.tokens = tokens;
    },
    redirectToAuthorization: (url) => {
      kept.url = url;
    },
    saveCodeVerifier: (verifier) => {
      kept.verifier = verifier;
    },
    codeVerifier: () => kept.verifier ?? '',
  };
  const open = async () => {
    const client = new Client({ name: 'sdk', version: '1' }, { versionNegotiation: { mode: 'auto' } });
    const transport = new StreamableHTTPClientTransport(new URL(toolsetUrl), { authProvider });
    return { client, transport };
  };
  const first = await open();
  await expect(first.client.connect(first.transport)).rejects.toThrow(UnauthorizedError);
  const sent = kept.url;
  if (!sent) throw new Error('nobody was sent to log in');
  const begun = { url: sent.href, verifier: '', state: '', redirectUri: redirectUrl, clientId: '' };
  const browser = createBrowser();
  const page = await people.passLogin(browser, begun.url, 'ada');
  const end = await browser.submit(page, { answer: 'allow' }, (url) => url.startsWith(redirectUrl));
  await first.transport.finishAuth(new URL(end.url).searchParams);
  const second = await open();
  await second.client.connect(second.transport);
  return { client: second.client, sent, page, kept };
};

describe('a client that nobody here wrote finds the way from a 401 to a tool', () => {
  test('registered beforehand', async () => {
    const { client, sent, page } = await connectWithSdk({ client_id: 'default/default/agent' });
    expect(sent.searchParams.get('resource')).toBe(toolsetUrl);
    expect(sent.searchParams.get('code_challenge_method')).toBe('S256');
    expect(sent.searchParams.get('scope')).toBe('mcp');
    expect(page.html).toContain('The agent client');
    expect((await client.listTools()).tools.map(({ name }) => name).sort()).toEqual(['act', 'fail', 'look']);
    expect(await client.callTool({ name: 'look', arguments: { path: '/ok/a' } })).toMatchObject({ content: expect.any(Array) });
    await client.close();
  });

  test('by a document at its own address, whose name is shown as its own claim', async () => {
    const { client, page } = await connectWithSdk({ clientMetadataUrl: `${documents.url}/client.json` });
    expect(page.html).toContain('An agent client &lt;b&gt;of somebody&lt;/b&gt;');
    expect(page.html).toContain('The name is the client’s own');
    expect(page.html).toContain('a program on this machine');
    expect((await client.listTools()).tools.length).toBe(3);
    await client.close();
  });

  test('by registering itself, where that was switched on', async () => {
    const { client, kept } = await connectWithSdk({});
    expect(kept.client).toMatchObject({ client_id: expect.any(String), redirect_uris: [redirectUrl] });
    expect((await client.listTools()).tools.length).toBe(3);
    await client.close();
  });
});

describe('a login of a client that nobody here wrote', () => {
  type Tokens = { access_token: string; refresh_token: string };

  /** The same token ten minutes later. */
  const ended = async ({ access_token: token }: Tokens): Promise<string> => {
    const [jwk] = people.signingKeys;
    const nowSeconds = Math.floor(Date.now() / 1000);
    return new SignJWT({ ...decodeJwt(token), iat: nowSeconds - 600, exp: nowSeconds - 90 })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: jwk?.kid ?? '' })
      .sign(await importJWK(jwk ?? {}, 'ES256'));
  };

  test.each([
    ['that registered itself', () => ({})],
    ['that is known by its document', () => ({ clientMetadataUrl: `${documents.url}/client.json` })],
  ])('%s is renewed without a word to the person, and over when it is revoked: 401, and the person is asked anew', async (_what, known) => {
    const { client, kept } = await connectWithSdk(known());
    const first = kept.tokens as Tokens;
    delete kept.url;
    kept.tokens = { ...first, access_token: await ended(first) };
    expect((await people.call('/mcp/counting', (kept.tokens as Tokens).access_token)).status).toBe(401);
    expect(await client.callTool({ name: 'look', arguments: { path: '/ok/a' } })).toMatchObject({ content: expect.any(Array) });
    const second = kept.tokens as Tokens;
    expect(kept.url).toBeUndefined();
    const { aud, sub } = decodeJwt(first.access_token);
    expect(decodeJwt(second.access_token)).toMatchObject({ aud, sub });
    expect(second.refresh_token).not.toBe(first.refresh_token);

    const { client_id } = kept.client as { client_id: string };
    const revoked = await fetch(`${people.issuerUrl}/token/revocation`, {
      method: 'POST',
      body: new URLSearchParams({ token: second.refresh_token, client_id }),
    });
    expect(revoked.status).toBe(200);
    await pollUntil(
      async () => (await people.call('/mcp/counting', second.access_token)).status === 401 || undefined,
      'the revoked login is refused',
    );
    await expect(client.callTool({ name: 'look', arguments: {} })).rejects.toThrow(UnauthorizedError);
    expect(kept.url).toBeInstanceOf(URL);
    await client.close();
  });
});

test('a client that registers itself is a public one, and lives at https or on this machine', async () => {
  const register = async (metadata: object) => {
    const answer = await fetch(`${people.issuerUrl}/reg`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(metadata),
    });
    // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
    return { status: answer.status, body: (await answer.json()) as any };
  };
  const plain = await register({ redirect_uris: ['http://localhost:3000/callback'], token_endpoint_auth_method: 'none' });
  expect(plain).toMatchObject({ status: 201, body: { token_endpoint_auth_method: 'none' } });
  expect(plain.body).not.toHaveProperty('client_secret');
  for (const metadata of [
    { redirect_uris: ['javascript:alert(1)'] },
    { redirect_uris: ['data:text/html,x'] },
    { redirect_uris: ['http://evil.example.test/callback'] },
    { redirect_uris: [redirectUrl], grant_types: ['urn:ietf:params:oauth:grant-type:token-exchange'], response_types: [] },
  ])
    expect((await register({ token_endpoint_auth_method: 'none', ...metadata })).status, JSON.stringify(metadata)).toBe(400);
  for (const method of [{}, { token_endpoint_auth_method: 'client_secret_basic' }])
    expect(await register({ redirect_uris: [redirectUrl], ...method })).toMatchObject({
      status: 400,
      body: { error_description: expect.stringContaining('has to be none') },
    });
});

test('what a client needs is found from the challenge: the resource’s metadata, then that of the authorization server', async () => {
  const refused = await people.call('/mcp/counting', 'not-a-token');
  expect(refused.status).toBe(401);
  const metadataUrl = /resource_metadata="([^"]+)"/.exec(refused.challenge ?? '')?.[1] ?? '';
  expect(refused.challenge).toContain('scope="mcp"');
  expect(await (await fetch(metadataUrl)).json()).toMatchObject({
    resource: toolsetUrl,
    authorization_servers: [people.issuerUrl],
    scopes_supported: ['mcp'],
  });
  const server = await (await fetch(`${people.issuerUrl}/.well-known/oauth-authorization-server`)).json();
  expect(server).toMatchObject({
    issuer: people.issuerUrl,
    code_challenge_methods_supported: ['S256'],
    authorization_response_iss_parameter_supported: true,
    client_id_metadata_document_supported: true,
    response_types_supported: ['code'],
  });
  const api = await people.askApi('/whoami', 'a.foreign.token');
  expect(api.status).toBe(401);
  expect(api.challenge).toContain(`resource_metadata="${people.apiUrl}/.well-known/oauth-protected-resource/api"`);
  expect(await (await fetch(`${people.apiUrl}/.well-known/oauth-protected-resource/api`)).json()).toMatchObject({
    resource: people.apiResource,
  });
});

describe('the document of a client', () => {
  const ask = async (clientId: string) => {
    const page = await createBrowser().open(people.request(toolsetUrl, { client_id: clientId, redirect_uri: redirectUrl }).url);
    return { status: page.status, isAsked: page.url.startsWith(people.company.issuer) };
  };

  test('is taken from its own address', async () => {
    expect((await ask(`${documents.url}/plain.json`)).isAsked).toBe(true);
  });

  test('is refused when it redirects, is too large, names another client, or does not come', async () => {
    for (const path of ['/moved.json', '/huge.json', '/other.json', '/slow.json'])
      expect(await ask(`${documents.url}${path}`), path).toEqual({ status: 400, isAsked: false });
    expect(documents.paths).toContain('/moved.json');
  });

  test('is not asked for at an address with a fragment, a user, dots, or without https', async () => {
    const before = documents.paths.length;
    const at = `127.0.0.1:${documents.port}`;
    for (const url of [`https://${at}/a#b`, `https://user@${at}/a`, `https://${at}/a/../b`, `https://${at}/%2e%2e/b`, `http://${at}/a`])
      expect(await ask(url), url).toEqual({ status: 400, isAsked: false });
    expect(documents.paths.length).toBe(before);
  });

  test('is refused when it would send people to an address that anybody on the way can read', async () => {
    const begun = people.request(toolsetUrl, {
      client_id: `${documents.url}/plain-http.json`,
      redirect_uri: 'http://evil.example.test/cb',
    });
    const page = await createBrowser().open(begun.url, (url) => url.includes('evil'));
    expect(page).toMatchObject({ status: 400, url: begun.url });
    // nor may it have the grant of the worker
    expect(await ask(`${documents.url}/grants.json`)).toEqual({ status: 400, isAsked: false });
  });

  test('redirect addresses are compared to the letter', async () => {
    const clientId = `${documents.url}/exact.json`;
    const page = await createBrowser().open(
      people.request(toolsetUrl, { client_id: clientId, redirect_uri: 'http://127.0.0.1:5/callback/x' }).url,
    );
    expect(page.status).toBe(400);
    expect(page.url.startsWith(people.issuerUrl)).toBe(true);
  });
});

describe('an address from outside', () => {
  test('is never one of this network, in whatever form it is written; nothing there is even connected to', async () => {
    const guarded = createGuardedFetch({ allowsLoopback: false, authorities: testCertificate });
    const before = documents.connections();
    const { port } = documents;
    const forms = [
      'https://127.0.0.1', 'https://localhost', 'https://127.1', 'https://2130706433', 'https://0x7f000001', 'https://0177.0.0.1',
      'https://0', 'https://0.0.0.0', 'https://[::1]', 'https://[::]', 'https://[::ffff:127.0.0.1]', 'https://[::ffff:7f00:1]',
      'https://[64:ff9b::7f00:1]', 'https://[2002:7f00:1::]', 'https://[::127.0.0.1]', 'https://127.0.0.1.', 'https://LOCALHOST',
      'https://10.0.0.1', 'https://172.16.0.1', 'https://192.168.1.1', 'https://169.254.169.254', 'https://[fe80::1]', 'https://[fd00::1]',
      'https://100.64.0.1', 'https://224.0.0.1', 'https://255.255.255.255', 'https://①②⑦.0.0.1',
    ]; // biome-ignore format: one look at the list
    for (const form of forms) await expect(guarded(`${form}:${port}/x`), form).rejects.toThrow();
    await expect(guarded(`http://127.0.0.1:${port}/x`)).rejects.toThrow('only plain https');
    await expect(guarded(`https://user:word@127.0.0.1:${port}/x`)).rejects.toThrow('only plain https');
    expect(documents.connections()).toBe(before);
  });

  test('is known for public or not by the registries of special addresses', () => {
    for (const address of ['8.8.8.8', '1.1.1.1', '2606:4700:4700::1111', '2a00:1450::1'])
      expect(isPublicAddress(address), address).toBe(true);
    for (const address of ['198.18.0.1', '203.0.113.9', '2001:db8::1', '2001::1', '::ffff:8.8.8.8', 'fe80::1%eth0', 'example.test'])
      expect(isPublicAddress(address), address).toBe(false);
  });
});

test('a client cannot register itself unless that was switched on', async () => {
  const closed = await startRunningPeople();
  try {
    const metadata = await (await fetch(`${closed.issuerUrl}/.well-known/oauth-authorization-server`)).json();
    expect(metadata).not.toHaveProperty('registration_endpoint');
    const answer = await fetch(`${closed.issuerUrl}/reg`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ redirect_uris: [redirectUrl] }),
    });
    expect(answer.status).toBe(404);
    // nor is a document fetched from this machine, outside of development
    const page = await createBrowser().open(
      closed.request(`${closed.gateway.publicUrl}/mcp`, { client_id: `${documents.url}/client.json`, redirect_uri: redirectUrl }).url,
    );
    expect(page.status).toBe(400);
  } finally {
    await closed.close();
  }
});
