import { decodeJwt, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRunTokens } from '../../activities/run-tokens.ts';
import { createJoinedProofs } from '../../activities/worker-proof.ts';
import { makeJoinToken } from '../../control/issuer/join-token.ts';
import { endAgent } from '../../store/agents.ts';
import { findResource } from '../../store/resources.ts';
import { type BackendIssuer, backendClient, startBackendIssuer } from '../support/backend-issuer.ts';
import { pollUntil } from '../support/poll-until.ts';
import { type ProtectedServer, startProtectedServer } from '../support/protected-server.ts';
import { adminToken } from '../support/running-gateway.ts';
import { joinKey } from '../support/running-issuer.ts';
import { type RunningPeople, startRunningPeople } from '../support/running-people.ts';

const staticSecret = 'a-static-secret-0123456789';
let people: RunningPeople;
let issuer: BackendIssuer;
let server: ProtectedServer;

const client = { id: backendClient.id, secret: { env: 'BACKEND_SECRET' } };

const declare = async (name: string, auth: object, url = server.url): Promise<void> => {
  await people.gateway.apply(
    { kind: 'McpServer', metadata: { name }, spec: { url, auth, timeoutSeconds: 5 } },
    { kind: 'Toolset', metadata: { name }, spec: { servers: [{ name }], naming: 'plain' } },
    {
      kind: 'AccessBinding',
      metadata: { name },
      spec: { subjects: [{ group: 'engineering' }, { agentRole: 'reader' }], toolsets: [name] },
    },
  );
};
const startOther = (parts: Partial<Parameters<typeof startProtectedServer>[0]> = {}) =>
  startProtectedServer({ issuer: issuer.issuer, jwksUri: issuer.jwksUri, ...parts });

beforeAll(async () => {
  people = await startRunningPeople({ environment: { BACKEND_SECRET: backendClient.secret, STATIC_SECRET: staticSecret } });
  issuer = await startBackendIssuer({ trusts: { issuerUrl: people.issuerUrl, jwksUri: people.jwksUri } });
  server = await startOther({ needs: { act: 'tools.write' } });
});
afterAll(async () => {
  await people.close();
  await server.close();
  issuer.close();
});

const tokenFor = async (employee: string, toolset: string): Promise<string> =>
  (await people.logIn(employee, `${people.gateway.publicUrl}/mcp/${toolset}`)).access_token;
const callTool = (toolset: string, token: string, name: string, params: object = {}) =>
  people.call(`/mcp/${toolset}`, token, 'tools/call', { name, arguments: {}, ...params });
const callsAt = ({ seen }: ProtectedServer) => seen.filter(({ body }) => body.includes('"tools/call"'));
const lastCallAt = (at: ProtectedServer) => callsAt(at).at(-1);
/** What an issuer could give: a token for somebody. */
const tokenFrom = async (from: string, audience: string): Promise<string> =>
  new SignJWT({ sub: 'default/admin', scope: 'tools.read' })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
    .setIssuer(from)
    .setAudience(audience)
    .setIssuedAt()
    .setExpirationTime('2m')
    .sign((await generateKeyPair('ES256')).privateKey);
const conditionOf = async (name: string, type: string) => {
  const found = await findResource(people.database, { org: 'default', project: 'default', kind: 'McpServer', name });
  return found?.status.conditions.find((condition) => condition.type === type);
};

/** A running agent of ada's company, with a token of the real issuer for one toolset. */
const startAgent = async (toolset: string) => {
  const agent = await people.gateway.addAgent({
    snapshot: { roles: { reader: { toolset, model: 'small' } }, fleet: { stages: [{ name: 'read', role: 'reader' }] } },
  });
  const { issuerUrl } = people;
  const proofs = createJoinedProofs({ issuerUrl, joinToken: async () => makeJoinToken(joinKey, { now: Date.now() }) });
  const audience = `${people.gateway.publicUrl}/mcp/default/default/${toolset}`;
  const token = await createRunTokens({ issuerUrl, proofs }).tokenFor(agent.id, audience, AbortSignal.timeout(10_000));
  return { ...agent, token };
};

describe('token exchange', () => {
  let token: string;
  beforeAll(async () => {
    await declare('exchanged', { kind: 'tokenExchange', issuer: issuer.issuer, client });
    await people.gateway.ready('exchanged');
    token = await tokenFor('ada', 'exchanged');
  });

  test('the server behind sees a token for itself alone, with the same person, and nothing of the inbound one', async () => {
    const { text } = await callTool('exchanged', token, 'look', { _meta: { note: 'kept' } });
    expect(text).toContain('of look');
    const { sub } = decodeJwt(token);
    expect(lastCallAt(server)?.claims).toMatchObject({ aud: server.url, iss: issuer.issuer, sub });
    expect(lastCallAt(server)?.claims?.jti).not.toBe(decodeJwt(token).jti);
    const [, payload = '', signature = ''] = token.split('.');
    const wire = JSON.stringify([server.seen, issuer.seen.map(({ form, ...rest }) => ({ ...rest, form: form.toString() }))]);
    for (const piece of [token, payload, signature, adminToken]) expect(wire).not.toContain(piece);
    expect(people.logLines.join('')).not.toContain(signature);
  });

  test('the row of the call says how the server knows who calls', async () => {
    await callTool('exchanged', token, 'look');
    const row = await people.gateway.auditRow(({ server: name, kind }) => name === 'exchanged' && kind === 'call');
    expect(row.facts).toMatchObject({ credential: 'tokenExchange' });
  });

  test('a tool that is found and called by `call_tool` gets the credential of its own server', async () => {
    const spec = { servers: [{ name: 'exchanged' }], naming: 'plain', expose: 'search' };
    await people.gateway.apply(
      { kind: 'Toolset', metadata: { name: 'found' }, spec },
      { kind: 'AccessBinding', metadata: { name: 'found' }, spec: { subjects: [{ group: 'engineering' }], toolsets: ['found'] } },
    );
    await people.gateway.ready('found');
    const ada = await tokenFor('ada', 'found');
    const { text } = await callTool('found', ada, 'call_tool', { arguments: { name: 'look', arguments: { path: '/found' } } });
    expect(text).toContain('of look');
    expect(lastCallAt(server)?.body).toContain('/found');
    expect(lastCallAt(server)?.claims).toMatchObject({ aud: server.url, iss: issuer.issuer, sub: decodeJwt(ada).sub });
    const row = await people.gateway.auditRow(({ toolset, tool }) => toolset === 'found' && tool === 'look');
    expect(row.facts).toMatchObject({ credential: 'tokenExchange' });
  });

  test('many calls at once cost one exchange', async () => {
    await declare('together', { kind: 'tokenExchange', issuer: issuer.issuer, client });
    await people.gateway.ready('together');
    const bob = await tokenFor('ada', 'together');
    const before = issuer.statements.length;
    const answers = await Promise.all(Array.from({ length: 20 }, () => callTool('together', bob, 'look')));
    expect(answers.every(({ text }) => text.includes('of look'))).toBe(true);
    expect(issuer.statements.length - before).toBe(1);
  });

  test('what is stated names the person and the agent that acts for them, for that issuer alone and for a minute', async () => {
    const agent = await startAgent('exchanged');
    const { text } = await callTool('exchanged', agent.token, 'look');
    expect(text).toContain('of look');
    const statement = issuer.statements.at(-1);
    expect(statement).toMatchObject({ sub: 'default/admin', act: { sub: agent.id }, aud: issuer.issuer, iss: people.issuerUrl });
    expect(Number(statement?.exp) - Number(statement?.iat)).toBeLessThanOrEqual(60);
    expect(lastCallAt(server)?.claims).toMatchObject({ sub: 'default/admin', act: { sub: agent.id }, aud: server.url });
    const row = await people.gateway.auditRow((one) => one.agent === agent.id && one.server === 'exchanged');
    expect(row).toMatchObject({ person: 'admin', run: agent.runId });
  });

  test('an agent whose run has ended gets no token any more', async () => {
    const agent = await startAgent('exchanged');
    await endAgent(people.database, agent.id, { state: 'cancelled' });
    const response = await fetch(`${people.issuerUrl}/credentials`, {
      method: 'POST',
      headers: { authorization: `Bearer ${people.gatewayKey}`, 'content-type': 'application/json' },
      body: JSON.stringify(await people.credentialRequest('exchanged', `agent:${agent.id}`)),
    });
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ code: 'not_permitted' });
  });

  test('a scope that the server asks for is added to those that there were, and the call made again', async () => {
    const before = callsAt(server).length;
    const { text } = await callTool('exchanged', token, 'act');
    expect(text).toContain('of act');
    const made = callsAt(server).slice(before);
    expect(made).toHaveLength(2);
    expect(server.inner.calls.filter(({ tool }) => tool === 'act')).toHaveLength(1);
    expect(String(made[1]?.claims?.scope)).toContain('tools.write');
  });

  test('a token that is not taken is replaced, and after three tries the caller hears why', async () => {
    const strict = await startOther({ needs: { act: 'admin.of.everything' } });
    await declare('strict', { kind: 'tokenExchange', issuer: issuer.issuer, client, scopes: ['tools.read'] }, strict.url);
    await people.gateway.ready('strict');
    const ada = await tokenFor('ada', 'strict');
    const beyond = await callTool('strict', ada, 'act');
    expect(beyond.text).toContain('credential_refused');
    expect(beyond.text).toContain('admin.of.everything');
    expect(callsAt(strict)).toHaveLength(1);
    expect((await callTool('strict', ada, 'look')).text).toContain('of look');
    strict.state.revoked = true;
    const before = callsAt(strict).length;
    expect((await callTool('strict', ada, 'look')).text).toContain('credential_refused');
    expect(callsAt(strict).length - before).toBe(3);
    expect(strict.inner.calls.filter(({ tool }) => tool === 'act')).toHaveLength(0);
    await strict.close();
  });

  test('an issuer that gives more scopes than were asked for is not taken at its word', async () => {
    const apart = await startOther();
    issuer.state.answers = { scope: 'tools.read everything' };
    await declare('broader', { kind: 'tokenExchange', issuer: issuer.issuer, client, scopes: ['tools.read'] }, apart.url);
    const said = await pollUntil(async () => {
      const ready = await conditionOf('broader', 'Ready');
      return ready?.status === 'False' ? ready : undefined;
    }, 'a first look at the server');
    expect(said.message).toContain('more scopes than were asked for');
    issuer.state.answers = {};
    expect(apart.seen.some(({ headers }) => headers.authorization !== undefined)).toBe(false);
    await apart.close();
  });

  test('an issuer that gives a token for another audience is not taken at its word: it is sent nowhere', async () => {
    const elsewhere = await startOther();
    await declare('elsewhere', { kind: 'tokenExchange', issuer: issuer.issuer, client, scopes: ['tools.read'] }, elsewhere.url);
    await people.gateway.ready('elsewhere');
    const ada = await tokenFor('ada', 'elsewhere');
    const foreign = await tokenFrom(issuer.issuer, server.url);
    issuer.state.answers = { access_token: foreign };
    try {
      const { text } = await callTool('elsewhere', ada, 'look');
      expect(text).toContain('credential_refused');
      expect(text).toContain('for another audience');
    } finally {
      issuer.state.answers = {};
    }
    expect(callsAt(elsewhere)).toEqual([]);
    expect(JSON.stringify(elsewhere.seen)).not.toContain(foreign);
    // a failure is believed for a moment
    await pollUntil(async () => (await callTool('elsewhere', ada, 'look')).text.includes('of look') || undefined, 'the issuer as it was');
    await elsewhere.close();
  });
});

describe('an issuer that changes', () => {
  test('a server that names another issuer: nothing goes there, and the server is marked as drifted', async () => {
    const moved = await startOther();
    const evil = await startBackendIssuer({ trusts: { issuerUrl: people.issuerUrl, jwksUri: people.jwksUri } });
    await declare('moved', { kind: 'tokenExchange', issuer: issuer.issuer, client }, moved.url);
    await people.gateway.ready('moved');
    moved.state.issuers = [evil.issuer];
    moved.state.revoked = true;
    const { text } = await callTool('moved', await tokenFor('ada', 'moved'), 'look');
    expect(text).toContain('server_drifted');
    expect(evil.seen).toEqual([]);
    expect(evil.statements).toEqual([]);
    expect(await conditionOf('moved', 'Credentials')).toMatchObject({ status: 'False', reason: 'IssuerDrifted' });
    await moved.close();
    evil.close();
  });

  test('metadata of an issuer that calls itself otherwise is dropped, and the stored secret not sent', async () => {
    const renamed = await startOther();
    issuer.state.issuerInMetadata = 'https://elsewhere.example';
    await declare('renamed', { kind: 'clientCredentials', issuer: issuer.issuer, client }, renamed.url);
    await pollUntil(
      async () => (await conditionOf('renamed', 'Credentials'))?.reason === 'IssuerDrifted' || undefined,
      'the server is marked as drifted',
    );
    issuer.state.issuerInMetadata = issuer.issuer;
    expect(issuer.seen.filter(({ form }) => form.get('resource') === renamed.url)).toEqual([]);
    await renamed.close();
  });
});

describe('other kinds', () => {
  test('client credentials: one token of the platform for all callers', async () => {
    await declare('platform', { kind: 'clientCredentials', issuer: issuer.issuer, client, scopes: ['tools.read'] });
    await people.gateway.ready('platform');
    const { text } = await callTool('platform', await tokenFor('ada', 'platform'), 'look');
    expect(text).toContain('of look');
    expect(lastCallAt(server)?.claims).toMatchObject({ aud: server.url, client_id: backendClient.id, scope: 'tools.read' });
  });

  test('client credentials: a token for another audience is sent nowhere, unless the declaration names that audience, which is then asked for', async () => {
    const apart = await startOther();
    const foreign = await tokenFrom(issuer.issuer, 'api://tickets');
    issuer.state.answers = { access_token: foreign };
    try {
      await declare('apart', { kind: 'clientCredentials', issuer: issuer.issuer, client, scopes: ['tools.read'] }, apart.url);
      const said = await pollUntil(async () => {
        const ready = await conditionOf('apart', 'Ready');
        return ready?.status === 'False' ? ready : undefined;
      }, 'a first look at the server');
      expect(said).toMatchObject({ reason: 'credential_refused', message: expect.stringContaining('for another audience') });
      expect(apart.seen.some(({ headers }) => headers.authorization !== undefined)).toBe(false);

      const audience = 'api://tickets';
      await declare('apart', { kind: 'clientCredentials', issuer: issuer.issuer, client, scopes: ['tools.read'], audience }, apart.url);
      await pollUntil(
        async () => apart.seen.some(({ headers }) => headers.authorization === `Bearer ${foreign}`) || undefined,
        'the token that is meant is sent',
      );
      expect(issuer.seen.at(-1)?.form.get('audience')).toBe(audience);
    } finally {
      issuer.state.answers = {};
    }
    await apart.close();
  });

  test('a static secret is shown as one, in the declaration’s condition and in each row, and does not go to open-world tools', async () => {
    const open = await startOther();
    open.acceptsSecret(staticSecret);
    open.inner.state.tools = open.inner.state.tools.map((tool) => ({
      ...tool,
      annotations: { ...tool.annotations, openWorldHint: tool.name === 'act' },
    }));
    await declare('fixed', { kind: 'static', secret: { env: 'STATIC_SECRET' } }, open.url);
    await people.gateway.ready('fixed');
    const ada = await tokenFor('ada', 'fixed');
    expect((await callTool('fixed', ada, 'look')).text).toContain('of look');
    expect(lastCallAt(open)?.headers.authorization).toBe(`Bearer ${staticSecret}`);
    expect((await callTool('fixed', ada, 'act')).text).toContain('not_permitted');
    expect(open.inner.calls.map(({ tool }) => tool)).toEqual(['look']);
    expect(await conditionOf('fixed', 'Credentials')).toMatchObject({ reason: 'StaticSecret' });
    const row = await people.gateway.auditRow(({ server: name, kind }) => name === 'fixed' && kind === 'call');
    expect(row.facts).toMatchObject({ credential: 'static' });
    await open.close();
  });

  test('nobody but the gateway gets a credential from the issuer', async () => {
    const body = JSON.stringify(await people.credentialRequest('exchanged', 'person:default/admin'));
    for (const authorization of ['', `Bearer ${adminToken}`, 'Bearer '])
      expect((await fetch(`${people.issuerUrl}/credentials`, { method: 'POST', headers: { authorization }, body })).status).toBe(401);
  });
});

test('policies decide who is given a token: without one nothing is sent, though the tool is allowed', async () => {
  await declare('exchanged', { kind: 'tokenExchange', issuer: issuer.issuer, client });
  const token = await tokenFor('ada', 'exchanged');
  await people.gateway.apply({
    kind: 'PolicySet',
    metadata: { name: 'no-tokens' },
    spec: {
      cedar:
        '@id("no-tokens") forbid (principal, action == Quarterdeck::Action::"exchange", resource == Quarterdeck::Backend::"default/default/exchanged");',
    },
  });
  const before = callsAt(server).length;
  try {
    const { text } = await pollUntil(async () => {
      const answer = await callTool('exchanged', token, 'look');
      return answer.text.includes('argument_refused') ? answer : undefined;
    }, 'the policy');
    expect(text).toContain('policyset/no-tokens/no-tokens');
    const sent = callsAt(server).length;
    await callTool('exchanged', token, 'look');
    expect(callsAt(server).length).toBe(sent);
    expect(sent).toBeGreaterThanOrEqual(before);
  } finally {
    await people.gateway.apply({ kind: 'PolicySet', metadata: { name: 'no-tokens' }, spec: { cedar: '// none' } });
    await pollUntil(async () => ((await callTool('exchanged', token, 'look')).text.includes('of look') ? true : undefined), 'no policy');
  }
});
