import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pollUntil } from '../support/poll-until.ts';
import { discovered, type RawMcpServer, startRawMcpServer } from '../support/raw-mcp-server.ts';
import { modernRequest } from '../support/running-edge.ts';
import { adminToken, guestToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

type Json = Record<string, unknown>;
const supported = ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'];
const inputSchema = {
  type: 'object',
  properties: { region: { type: 'string', 'x-mcp-header': 'Region' }, count: { type: 'integer', 'x-mcp-header': 'Count' } },
};
const tools = [
  { name: 'look', inputSchema, annotations: { readOnlyHint: true } },
  { name: 'act', inputSchema, annotations: { readOnlyHint: false } },
];

let gateway: RunningGateway;
let server: RawMcpServer;
beforeAll(async () => {
  server = await startRawMcpServer({
    'server/discover': () => discovered(),
    'tools/list': () => ({ result: { resultType: 'complete', tools, ttlMs: 0, cacheScope: 'private' } }),
    'tools/call': ({ params }) => ({ result: { resultType: 'complete', content: [{ type: 'text', text: String(params?.name) }] } }),
  });
  gateway = await startRunningGateway();
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'raw' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'raw' }, spec: { servers: [{ name: 'raw' }], naming: 'plain' } },
    { kind: 'AccessBinding', metadata: { name: 'guests' }, spec: { subjects: [{ group: 'guests' }], toolsets: ['raw'] } },
    {
      kind: 'PolicySet',
      metadata: { name: 'guests' },
      spec: {
        cedar: `@id("look-only") @advice("Look, and change nothing.")
forbid (principal in Quarterdeck::Group::"default/guests", action == Quarterdeck::Action::"callTool", resource) when { !resource.hints.readOnly };`,
      },
    },
  );
  await gateway.ready('raw');
});
afterAll(async () => {
  await gateway.close();
  await server.close();
});

type Changes = Parameters<typeof modernRequest>[2];
const modern = async (method: string, params: Json = {}, changes: Changes = {}, token = adminToken) => {
  const request = modernRequest(method, params, { ...changes, headers: { authorization: `Bearer ${token}`, ...changes?.headers } });
  const answer = await fetch(`${gateway.publicUrl}/mcp/raw`, request);
  return { status: answer.status, body: (await answer.json()) as { id: unknown; result?: Json; error?: { code: number; data?: Json } } };
};
const legacy = async (body: string | object, headers: Record<string, string> = {}, token = adminToken) => {
  const answer = await fetch(`${gateway.publicUrl}/mcp/raw`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2025-11-25',
      ...headers,
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, body: JSON.parse(text.startsWith('{') ? text : (/^data: (\{.*)$/m.exec(text)?.[1] ?? '{}')) };
};
const call = (name: string, args: Json = {}) => ({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } });
const reached = () => server.countOf('tools/call');

describe('what nobody here knows', () => {
  test('an unknown version is answered 400 with −32022 and the versions that there are', async () => {
    const meta = { 'io.modelcontextprotocol/protocolVersion': '2031-01-01' };
    const { status, body } = await modern('tools/list', {}, { meta, headers: { 'mcp-protocol-version': '2031-01-01' } });
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ code: -32022, data: { supported, requested: '2031-01-01' } });
  });

  test('an unknown method is answered 404 to a modern client and 200 to a legacy one, −32601 to both', async () => {
    const unknown = await modern('tools/juggle');
    expect([unknown.status, unknown.body.error?.code]).toEqual([404, -32601]);
    const older = await legacy({ jsonrpc: '2.0', id: 1, method: 'tools/juggle' });
    expect([older.status, older.body.error.code]).toEqual([200, -32601]);
  });
});

describe('headers and body', () => {
  const spoilt: [string, Json, Record<string, string | undefined>][] = [
    ['Mcp-Method is of another method', { name: 'look' }, { 'mcp-method': 'tools/list' }],
    ['Mcp-Method is missing', { name: 'look' }, { 'mcp-method': undefined }],
    ['Mcp-Name is of an allowed tool and the body of another', { name: 'act' }, { 'mcp-name': 'look' }],
    ['Mcp-Name is missing', { name: 'look' }, { 'mcp-name': undefined }],
    ['Mcp-Name decodes to another name', { name: 'look' }, { 'mcp-name': `=?base64?${Buffer.from('act').toString('base64')}?=` }],
    ['Mcp-Param-Region is missing', { name: 'look', arguments: { region: 'eu' } }, {}],
    ['Mcp-Param-Region is of another region', { name: 'look', arguments: { region: 'eu' } }, { 'mcp-param-region': 'us' }],
    ['Mcp-Param-Count is another number', { name: 'look', arguments: { count: 42 } }, { 'mcp-param-count': '43' }],
  ];
  test('that disagree are answered 400 with −32020, and the server is never contacted', async () => {
    const before = server.seen.length;
    for (const [what, params, headers] of spoilt) {
      const { status, body } = await modern('tools/call', params, { headers });
      expect([what, status, body.error?.code]).toEqual([what, 400, -32020]);
    }
    expect(server.seen.slice(before).filter(({ method }) => method === 'tools/call')).toEqual([]);
  });

  test('agree after Base64 is decoded, and where integers are the same number', async () => {
    for (const [region, count, headers] of [
      ['Zürich', 42, { 'mcp-param-region': `=?base64?${Buffer.from('Zürich').toString('base64')}?=`, 'mcp-param-count': '42' }],
      ['eu', 42, { 'mcp-param-region': 'eu', 'mcp-param-count': '42.0' }],
    ] as const) {
      const before = reached();
      const { status } = await modern('tools/call', { name: 'look', arguments: { region, count } }, { headers });
      expect([status, reached() - before]).toEqual([200, 1]);
    }
  });

  test('are not both believed: who may call what is decided from the body', async () => {
    const before = reached();
    // a legacy client’s headers are not part of its protocol, so they cannot be refused; nor do they count
    expect((await legacy(call('act'), { 'mcp-name': 'look', 'mcp-method': 'tools/call' }, guestToken)).body.error).toBeDefined();
    expect(reached()).toBe(before);
    expect((await legacy(call('look'), { 'mcp-name': 'act' }, guestToken)).body.result.content).toMatchObject([{ text: 'look' }]);
    expect((await modern('tools/call', { name: 'act' }, {}, guestToken)).body.error).toBeDefined();
    expect(reached()).toBe(before + 1);
  });
});

describe('what is no message', () => {
  const nested = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`;
  const request = (rest: string): string => `{"jsonrpc":"2.0","id":1,"method":"tools/list"${rest}}`;
  const bodies: [string, string, number][] = [
    ['truncated', '{"jsonrpc":"2.0","id":1,"meth', -32700],
    ['a batch', `[${request('')}]`, -32600],
    ['a key twice', request(',"method":"tools/call"'), -32600],
    ['another jsonrpc', '{"jsonrpc":"1.0","id":1,"method":"tools/list"}', -32600],
    ['no jsonrpc', '{"id":1,"method":"tools/list"}', -32600],
    ['a fraction as id', '{"jsonrpc":"2.0","id":1.5,"method":"tools/list"}', -32600],
    ['an object as id', '{"jsonrpc":"2.0","id":{},"method":"tools/list"}', -32600],
    ['65 levels', request(`,"params":{"a":${nested(64)}}`), -32600],
    ['a hundred thousand levels', request(`,"params":{"a":${nested(100_000)}}`), -32600],
  ];
  test('is answered 400 with −32700 or −32600 in both eras', async () => {
    for (const [what, body, code] of bodies) {
      const newer = await modern('tools/list', {}, { body });
      expect([what, newer.status, newer.body.error?.code]).toEqual([what, 400, code]);
      const older = await legacy(body);
      expect([what, older.status, older.body.error.code]).toEqual([what, 400, code]);
    }
    expect((await modern('tools/list')).status).toBe(200);
  });
});

describe('sizes', () => {
  const bytes = 4 * 1024 * 1024;
  /** No JSON: whoever parses it says so. */
  const unreadable = (length: number): string => '{'.padEnd(length, ' ');

  test('a request over 4 MiB is answered 413 before it is parsed, in both eras', async () => {
    const before = server.seen.length;
    for (const send of [(body: string) => modern('tools/list', {}, { body }), legacy]) {
      expect((await send(unreadable(bytes + 1))).status).toBe(413);
      expect((await send(unreadable(bytes))).body).toMatchObject({ error: { code: -32700 } });
    }
    expect(server.seen.length).toBe(before);
  });
});

test('an event id means nothing to the modern era: the request is answered as any other', async () => {
  const { status, body } = await modern('tools/call', { name: 'look' }, { headers: { 'last-event-id': 'stream:7' } });
  expect([status, body.result?.resultType]).toEqual([200, 'complete']);
});

describe('who may do what', () => {
  test('a denied tool looks as one that does not exist, and differs from it in the audit', async () => {
    const denied = await modern('tools/call', { name: 'act' }, {}, guestToken);
    const unknown = await modern('tools/call', { name: 'cat' }, {}, guestToken);
    const form = (answer: unknown): string =>
      JSON.stringify(answer)
        .replaceAll(/dec_[\w-]+/g, 'dec_')
        .replaceAll('"act"', '"cat"');
    expect(form(denied).replaceAll('act', 'cat')).toBe(form(unknown).replaceAll('act', 'cat'));
    const rowOf = ({ body }: typeof denied) => {
      const decisionId = body.error?.data?.decisionId;
      return gateway.auditRow((row) => row.decisionId === decisionId);
    };
    const [deniedRow, unknownRow] = [await rowOf(denied), await rowOf(unknown)];
    expect(deniedRow).toMatchObject({ kind: 'refusal', tool: 'act', policies: ['policyset/guests/look-only'] });
    expect(unknownRow).toMatchObject({ kind: 'refusal', policies: [] });
  });

  test('the hints that were approved decide; hints that the caller sends change nothing', async () => {
    const hints = { readOnlyHint: true, readOnly: true, destructiveHint: false };
    const before = reached();
    for (const params of [
      { name: 'act', annotations: hints },
      { name: 'act', hints },
      { name: 'act', _meta: { annotations: hints, hints } },
      { name: 'act', arguments: { annotations: hints, hints, ...hints } },
    ]) {
      expect((await legacy({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }, {}, guestToken)).body.error.code).toBe(-32602);
      expect((await modern('tools/call', params, {}, guestToken)).body.error?.code).toBe(-32602);
    }
    const headers = { 'x-read-only-hint': 'true', 'mcp-read-only-hint': 'true' };
    expect((await modern('tools/call', { name: 'act' }, { headers }, guestToken)).body.error?.code).toBe(-32602);
    expect(reached()).toBe(before);
    // nor do they take anything away
    const against = { name: 'look', annotations: { readOnlyHint: false, destructiveHint: true } };
    expect((await modern('tools/call', against, {}, guestToken)).status).toBe(200);
    expect(reached()).toBe(before + 1);
  });

  test('good policies are in force within two seconds, and bad ones change nothing', async () => {
    const apply = (cedar: string) => gateway.apply({ kind: 'PolicySet', metadata: { name: 'late' }, spec: { cedar } });
    const isRefused = async (): Promise<boolean> => (await modern('tools/call', { name: 'look' }, {}, guestToken)).body.error !== undefined;
    const within = async (refused: boolean): Promise<void> => {
      const changedAt = performance.now();
      await pollUntil(async () => (await isRefused()) === refused || undefined, 'the policy', 5000);
      expect(performance.now() - changedAt).toBeLessThan(2000);
    };
    expect(await isRefused()).toBe(false);
    await apply('forbid (principal in Quarterdeck::Group::"default/guests", action == Quarterdeck::Action::"callTool", resource);');
    await within(true);
    // the api refuses this text; here it comes into the database behind its back
    await apply('forbid (principal, action == Quarterdeck::Action::"juggle", resource);').catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(await isRefused()).toBe(true);
    await apply('permit (principal in Quarterdeck::Group::"default/nobody", action, resource);');
    await within(false);
  });
});
