import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callHeaders } from '../support/call-headers.ts';
import { startCountingServer } from '../support/counting-server.ts';
import { pollUntil } from '../support/poll-until.ts';
import { adminToken, guestToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

let gateway: RunningGateway;
let server: Awaited<ReturnType<typeof startCountingServer>>;

const policy = `@id("own-paths") @advice("Use paths that start with /ok/.")
forbid (principal is Quarterdeck::Agent, action == Quarterdeck::Action::"callTool", resource) when { context.arguments.paths.contains("/secret") };`;

beforeAll(async () => {
  server = await startCountingServer();
  gateway = await startRunningGateway();
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url, timeoutSeconds: 5 } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
    { kind: 'Toolset', metadata: { name: 'narrow' }, spec: { servers: [{ name: 'counting', tools: ['look'] }] } },
    { kind: 'AccessBinding', metadata: { name: 'readers' }, spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['counting'] } },
    { kind: 'PolicySet', metadata: { name: 'paths' }, spec: { cedar: policy } },
  );
  await gateway.ready('counting');
});
afterAll(async () => {
  await gateway.close();
  await server.close();
});

const audience = () => `${gateway.publicUrl}/mcp/default/default/counting`;

const legacyClient = async (token: string, path = '/mcp/counting'): Promise<Client> => {
  const client = new Client({ name: 'somebody-elses', version: '1' });
  await client.connect(
    new StreamableHTTPClientTransport(new URL(`${gateway.publicUrl}${path}`), {
      requestInit: { headers: { authorization: `Bearer ${token}` } },
    }),
  );
  return client;
};

const modernClient = async (token: string, path = '/mcp/counting', headers: Record<string, string> = {}): Promise<ModernClient> => {
  const client = new ModernClient({ name: 'modern', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  await client.connect(
    new ModernTransport(new URL(`${gateway.publicUrl}${path}`), {
      requestInit: { headers: { authorization: `Bearer ${token}`, ...headers } },
    }),
  );
  return client;
};

/** One call by HTTP, as the worker makes it. */
const callAs = async (token: string, name: string, operationId: string | undefined, argumentsOfCall: object = {}, signal?: AbortSignal) => {
  const response = await fetch(audience(), {
    method: 'POST',
    headers: callHeaders(token, operationId),
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: argumentsOfCall } }),
    ...(signal ? { signal } : {}),
  });
  const text = await response.text();
  const json = text.startsWith('{') ? text : (/^data: (\{.*)$/m.exec(text)?.[1] ?? '{}');
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
  return JSON.parse(json) as any;
};

describe('clients that nobody here wrote', () => {
  test('the v1 SDK client lists and calls tools at the short address with the token of a person', async () => {
    const client = await legacyClient(adminToken);
    const { tools } = await client.listTools();
    expect(tools.map((tool) => tool.name)).toEqual(['act', 'fail', 'look']);
    const result = await client.callTool({ name: 'look', arguments: { value: 'x' } });
    expect(result.content).toEqual([{ type: 'text', text: expect.stringMatching(/^call \d+ of look$/) }]);
    await client.close();
    const row = await gateway.auditRow((event) => event.tool === 'look' && event.action === 'callTool');
    expect(row).toMatchObject({
      kind: 'call',
      person: 'admin',
      server: 'counting',
      toolset: 'counting',
      decision: 'allow',
      outcome: 'ok',
      stamp: 'admin-token',
      policies: ['platform/administrators'],
    });
    expect(row.durationMs).toBeGreaterThanOrEqual(0);
  });

  test('a client of the 2026-07-28 revision does the same without a session', async () => {
    const client = await modernClient(adminToken);
    expect((await client.listTools()).tools).toHaveLength(3);
    const result = await client.callTool({ name: 'look', arguments: {} });
    expect(result.content[0]).toMatchObject({ type: 'text' });
    await client.close();
  });

  test('a failure of the tool itself comes back as its own result', async () => {
    const client = await legacyClient(adminToken);
    expect(await client.callTool({ name: 'fail', arguments: {} })).toMatchObject({ isError: true });
    await client.close();
  });

  test('a toolset shows its servers under prefixes and narrowed to what it names, and /mcp shows everything', async () => {
    const narrow = await legacyClient(adminToken, '/mcp/default/default/narrow');
    expect((await narrow.listTools()).tools.map((tool) => tool.name)).toEqual(['counting__look']);
    expect((await narrow.callTool({ name: 'counting__look', arguments: {} })).isError).toBeFalsy();
    await expect(narrow.callTool({ name: 'counting__act', arguments: {} })).rejects.toMatchObject({ code: -32602 });
    await narrow.close();
    const everything = await legacyClient(adminToken, '/mcp');
    const names = (await everything.listTools()).tools.map((tool) => tool.name);
    expect(names).toContain('default__counting__act');
    expect(names).toContain('default__narrow__counting__look');
    await everything.callTool({ name: 'default__counting__look', arguments: {} });
    await everything.close();
  });
});

describe('who may do what', () => {
  test('without a token there is a challenge that names the metadata of the resource', async () => {
    const response = await fetch(`${gateway.publicUrl}/mcp/counting`, { method: 'POST', body: '{}' });
    expect(response.status).toBe(401);
    const challenge = response.headers.get('www-authenticate') ?? '';
    const metadataUrl = /resource_metadata="([^"]+)"/.exec(challenge)?.[1] ?? '';
    const metadata = await (await fetch(metadataUrl)).json();
    expect(metadata).toMatchObject({ resource: `${gateway.publicUrl}/mcp/counting`, authorization_servers: [gateway.config.issuerUrl] });
  });

  test('a token for another virtual server is refused, and the server behind hears nothing', async () => {
    const { id } = await gateway.addAgent();
    const before = server.calls.length;
    const sibling = `${gateway.publicUrl}/mcp/default/default/narrow`;
    const token = await gateway.mint(id, sibling);
    const ask = (url: string, method: string, params: object) =>
      fetch(url, {
        method: 'POST',
        headers: callHeaders(token, undefined),
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      });
    // there is nothing else wrong with it
    expect((await ask(sibling, 'tools/list', {})).status).toBe(200);
    const response = await ask(audience(), 'tools/call', { name: 'look', arguments: { path: '/ok/a' } });
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toContain('error="invalid_token"');
    expect(response.headers.get('www-authenticate')).toContain(
      `resource_metadata="${gateway.publicUrl}/.well-known/oauth-protected-resource/mcp/default/default/counting"`,
    );
    expect(server.calls.length).toBe(before);
  });

  test('a person without a grant sees no tool, and a forbidden name answers exactly as an unknown one', async () => {
    const client = await legacyClient(guestToken);
    expect((await client.listTools()).tools).toEqual([]);
    await client.close();
    const forbidden = await callAs(guestToken, 'look', undefined);
    const unknown = await callAs(guestToken, 'nosuch', undefined);
    expect(forbidden.error.code).toBe(-32602);
    const form = (answer: unknown) =>
      JSON.stringify(answer)
        .replaceAll('look', 'nosuch')
        .replaceAll(/dec_[\w-]+/g, 'dec_');
    expect(form(forbidden)).toBe(form(unknown));
    expect(form(unknown)).toContain('dec_');
  });

  test('an agent calls what its role was granted; the row names agent, role, fleet, run and person', async () => {
    const { id, runId } = await gateway.addAgent();
    const answer = await callAs(await gateway.mint(id, audience()), 'look', `${id}/1`, { path: '/ok/a' });
    expect(answer.result.content[0].text).toContain('of look');
    const row = await gateway.auditRow((event) => event.operationId === `${id}/1`);
    expect(row).toMatchObject({
      agent: id,
      role: 'reader',
      fleet: 'survey',
      run: runId,
      person: 'admin',
      decision: 'allow',
      facts: { paths: ['/ok/a'] },
    });
  });

  test('a role that was not granted the toolset finds no tool, and the refusal is counted and recorded', async () => {
    const { id } = await gateway.addAgent({ role: 'clerk' });
    const answer = await callAs(await gateway.mint(id, audience()), 'look', `${id}/1`);
    expect(answer.error).toMatchObject({ code: -32602, data: { code: 'tool_unknown' } });
    const row = await gateway.auditRow((event) => event.operationId === `${id}/1`);
    expect(row).toMatchObject({ kind: 'refusal', decision: 'deny', outcome: 'refused', errorCode: 'tool_unknown' });
  });

  test.each(['/ok/../secret', '/ok//a', '/ok/%2e%2e/secret', '/secret'])(
    'the path %s is refused with the rule and what to do, and nothing is called',
    async (path) => {
      const { id } = await gateway.addAgent();
      const before = server.calls.length;
      const answer = await callAs(await gateway.mint(id, audience()), 'look', `${id}/1`, { path });
      expect(answer.error).toMatchObject({ code: -32010, data: { code: 'argument_refused', decisionId: expect.stringMatching(/^dec_/) } });
      expect(answer.error.message).toMatch(/platform\/canonical-arguments|policyset\/paths\/own-paths/);
      expect(server.calls.length).toBe(before);
    },
  );

  test('a foreign page is refused before anything is read', async () => {
    const response = await fetch(audience(), {
      method: 'POST',
      headers: { origin: 'http://127.0.0.1.evil.example', authorization: `Bearer ${adminToken}` },
      body: '{}',
    });
    expect(response.status).toBe(403);
  });

  test('the inbound token never reaches the server behind', async () => {
    const { id } = await gateway.addAgent();
    const token = await gateway.mint(id, audience());
    await callAs(token, 'look', `${id}/1`);
    expect(JSON.stringify(server.headersSeen)).not.toContain(token);
    expect(JSON.stringify(server.headersSeen)).not.toContain(adminToken);
  });

  test('an ended run calls nothing more, although its token has not expired', async () => {
    const { id, key } = await gateway.addAgent();
    const token = await gateway.mint(id, audience());
    await callAs(token, 'look', `${id}/1`);
    const { moveRun } = await import('../../store/runs.ts');
    await moveRun(gateway.database, key, ['running'], 'cancelled');
    const answer = await callAs(token, 'look', `${id}/2`);
    expect(answer.error?.data?.code ?? answer.error).toMatch(/run_ended|invalid_token/);
  });

  test('calls are held to the limit of the role, also fifty at once', async () => {
    const { id } = await gateway.addAgent({ limits: { calls: 3 } });
    const token = await gateway.mint(id, audience());
    const before = server.countOf('look');
    const answers = await Promise.all(Array.from({ length: 50 }, (_unused, index) => callAs(token, 'look', `${id}/call-${index}`)));
    expect(answers.filter((answer) => answer.result).length).toBe(3);
    expect(server.countOf('look') - before).toBe(3);
    expect(answers.find((answer) => answer.error).error.data).toMatchObject({ code: 'budget_exhausted', reason: 'limit_calls' });
  });
});

describe('an operation is made at most once', () => {
  test('a retry with the same id finds the outcome', async () => {
    const { id } = await gateway.addAgent();
    const token = await gateway.mint(id, audience());
    const before = server.countOf('act');
    const first = await callAs(token, 'act', `${id}/op`, { value: 'x' });
    const second = await callAs(token, 'act', `${id}/op`, { value: 'x' });
    expect(second.result).toEqual(first.result);
    expect(server.countOf('act') - before).toBe(1);
    const rows = (await gateway.audit()).filter((row) => row.operationId === `${id}/op` && row.kind !== 'call');
    expect(rows.map((row) => row.kind)).toEqual(['intent', 'outcome']);
  });

  test('twenty at once are one call with one answer', async () => {
    const { id } = await gateway.addAgent();
    const token = await gateway.mint(id, audience());
    const before = server.countOf('act');
    const answers = await Promise.all(Array.from({ length: 20 }, () => callAs(token, 'act', `${id}/op`, { value: 'x' })));
    expect(new Set(answers.map((answer) => JSON.stringify(answer.result))).size).toBe(1);
    expect(server.countOf('act') - before).toBe(1);
  });

  test('the same id for other arguments is refused, and that of another agent is another operation', async () => {
    const { id, runId } = await gateway.addAgent();
    const other = await gateway.addAgent({ runId, ordinal: 1 });
    const first = await callAs(await gateway.mint(id, audience()), 'act', 'shared-op', { value: 'x' });
    expect((await callAs(await gateway.mint(id, audience()), 'act', 'shared-op', { value: 'y' })).error.data.code).toBe(
      'operation_conflict',
    );
    const calls = server.countOf('act');
    const [own, again] = [
      await callAs(await gateway.mint(other.id, audience()), 'act', 'shared-op', { value: 'z' }),
      await callAs(await gateway.mint(id, audience()), 'act', 'shared-op', { value: 'x' }),
    ];
    expect([own.result.isError, server.countOf('act') - calls]).toEqual([undefined, 1]);
    expect(again.result).toEqual(first.result);
    const rows = (await gateway.audit()).filter((row) => row.operationId === 'shared-op' && row.kind === 'intent');
    expect(new Set(rows.map(({ agent }) => agent))).toEqual(new Set([id, other.id]));
  });

  test('a server that breaks off after the call was sent leaves the operation unknown, and it is never made again', async () => {
    const { id } = await gateway.addAgent();
    const token = await gateway.mint(id, audience());
    const before = server.countOf('act');
    server.state.before = async () => server.reset();
    const first = await callAs(token, 'act', `${id}/lost`);
    server.state.before = async () => undefined;
    expect(first.error.data.code).toBe('operation_unknown');
    expect((await callAs(token, 'act', `${id}/lost`)).error.data.code).toBe('operation_unknown');
    expect(server.countOf('act') - before).toBe(1);
    expect((await gateway.audit()).filter((row) => row.operationId === `${id}/lost` && row.kind === 'outcome')).toMatchObject([
      { outcome: 'unknown' },
    ]);
  });

  test('a caller that leaves does not stop a named operation; its retry finds the outcome', async () => {
    const { id } = await gateway.addAgent();
    const token = await gateway.mint(id, audience());
    const before = server.countOf('act');
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    server.state.before = () => held;
    const abort = new AbortController();
    const left = callAs(token, 'act', `${id}/left`, {}, abort.signal).catch(() => 'left');
    await pollUntil(() => server.countOf('act') - before === 1 || undefined, 'the call');
    abort.abort();
    expect(await left).toBe('left');
    release();
    server.state.before = async () => undefined;
    const retry = await callAs(token, 'act', `${id}/left`);
    expect(retry.result.content[0].text).toContain('of act');
    expect(server.countOf('act') - before).toBe(1);
  });

  test('the outcome of an operation lies sealed in the database', async () => {
    const { id } = await gateway.addAgent();
    await callAs(await gateway.mint(id, audience()), 'act', `${id}/sealed`);
    const rows = await gateway.database.$client.query('select outcome from operations where id = $1', [`${id}/sealed`]);
    expect(rows.rows[0].outcome.toString('latin1')).not.toContain('of act');
  });
});

describe('definitions', () => {
  test('a definition that changed since its approval is hidden and denied until a person applies the server again', async () => {
    const extra = await startCountingServer();
    await gateway.apply(
      { kind: 'McpServer', metadata: { name: 'drifting' }, spec: { url: extra.url } },
      { kind: 'Toolset', metadata: { name: 'drifting' }, spec: { servers: [{ name: 'drifting' }], naming: 'plain' } },
    );
    await gateway.ready('drifting');
    extra.state.tools = extra.state.tools.map((tool) => (tool.name === 'look' ? { ...tool, description: 'Looks elsewhere' } : tool));
    await gateway.restart();
    const names = async () => {
      const client = await legacyClient(adminToken, '/mcp/drifting');
      const { tools } = await client.listTools();
      await client.close();
      return tools.map((tool) => tool.name);
    };
    await pollUntil(async () => !(await names()).includes('look') || undefined, 'the changed tool to vanish');
    expect(await names()).toEqual(['act', 'fail']);
    await gateway.apply({ kind: 'McpServer', metadata: { name: 'drifting' }, spec: { url: extra.url, timeoutSeconds: 61 } });
    await pollUntil(async () => (await names()).includes('look') || undefined, 'the approved tool to return');
    await extra.close();
  });
});
