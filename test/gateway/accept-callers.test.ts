import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { pollUntil } from '../support/poll-until.ts';
import { discovered, type RawMcpServer, startRawMcpServer } from '../support/raw-mcp-server.ts';
import { adminToken, guestToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

const revision = '2026-07-28';
const inputSchema = { type: 'object' };
const toolCount = 2_500;
const manyNames = Array.from({ length: toolCount }, (_, index) => `tool-${String(index).padStart(4, '0')}`);
/** What nobody of the guests may use. */
const kept = manyNames.filter((_, index) => index % 3 === 0);

let gateway: RunningGateway;
/** Asks before it acts; `many` has more tools than fit one page. */
let asking: RawMcpServer;
let many: RawMcpServer;

beforeAll(async () => {
  asking = await startRawMcpServer({
    'server/discover': () => discovered(),
    'tools/list': () => ({
      result: {
        tools: [
          { name: 'safe', inputSchema, annotations: { readOnlyHint: true } },
          { name: 'act', inputSchema },
        ],
      },
    }),
    'tools/call': ({ params }) =>
      params?.inputResponses
        ? { result: { resultType: 'complete', content: [{ type: 'text', text: 'done' }] } }
        : {
            result: {
              resultType: 'input_required',
              inputRequests: {
                ok: { method: 'elicitation/create', params: { message: '?', requestedSchema: { type: 'object', properties: {} } } },
              },
              requestState: 'theirs',
            },
          },
  });
  many = await startRawMcpServer({
    'tools/list': () => ({ result: { tools: manyNames.map((name) => ({ name, inputSchema })) } }),
  });
  gateway = await startRunningGateway();
  for (const [name, url] of [
    ['asking', asking.url],
    ['many', many.url],
  ] as const)
    await gateway.apply(
      { kind: 'McpServer', metadata: { name }, spec: { url } },
      { kind: 'Toolset', metadata: { name }, spec: { servers: [{ name }], naming: 'plain' } },
      { kind: 'AccessBinding', metadata: { name: `guests-${name}` }, spec: { subjects: [{ group: 'guests' }], toolsets: [name] } },
    );
  const forbidden = kept.map((name) => `Quarterdeck::Tool::"default/default/many/${name}"`).join(', ');
  const cedar = `@id("kept") forbid (principal in Quarterdeck::Group::"default/guests",
    action in [Quarterdeck::Action::"listTool", Quarterdeck::Action::"callTool"], resource) when { resource in [${forbidden}] };`;
  await gateway.apply({ kind: 'PolicySet', metadata: { name: 'kept' }, spec: { cedar } });
  await gateway.ready('asking');
  await gateway.ready('many');
});
afterAll(async () => {
  await gateway.close();
  await asking.close();
  await many.close();
});
beforeEach(() => {
  asking.seen.length = 0;
});

type Sent = { token?: string; headers?: Record<string, string>; accept?: string; toolset?: string };
const post = (
  message: object,
  { token = adminToken, headers = {}, accept = 'application/json, text/event-stream', toolset = 'asking' }: Sent = {},
) =>
  fetch(`${gateway.publicUrl}/mcp/${toolset}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept, ...headers },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, ...message }),
  });
const meta = {
  'io.modelcontextprotocol/protocolVersion': revision,
  'io.modelcontextprotocol/clientCapabilities': { elicitation: {} },
  'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
};
/** A request of the modern era, its headers as the body has it unless they are given. */
const modern = (method: string, params: Record<string, unknown>, { headers = {}, ...sent }: Sent = {}) =>
  post(
    { method, params: { _meta: meta, ...params } },
    {
      ...sent,
      headers: {
        'mcp-protocol-version': revision,
        'mcp-method': method,
        ...(typeof params.name === 'string' ? { 'mcp-name': params.name } : {}),
        ...headers,
      },
    },
  );
const callsSeen = () => asking.seen.filter(({ method }) => method === 'tools/call');

test('a header that names a safe tool does not get another one of the body past anything: −32020, and no call is let through', async () => {
  const response = await modern('tools/call', { name: 'act', arguments: {} }, { headers: { 'mcp-name': 'safe' } });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ error: { code: -32020 } });
  expect(callsSeen()).toEqual([]);
  // a row that comes later is there, so one of this call would be, too
  const trace = 'f'.repeat(32);
  await modern('tools/call', { name: 'act', arguments: {} }, { headers: { traceparent: `00-${trace}-00000000000000ab-01` } });
  await gateway.auditRow(({ traceId }) => traceId === trace);
  const allowed = (await gateway.audit({ tool: 'act' })).filter(({ decision, traceId }) => decision === 'allow' && traceId !== trace);
  expect(allowed).toEqual([]);
});

test('a method named like what every object has is refused, and holds no row of the audit up', async () => {
  for (const method of ['constructor', 'toString', '__proto__', 'hasOwnProperty'])
    expect((await modern(method, {}, { headers: { 'mcp-method': 'other' } })).status).toBe(400);
  const trace = 'e'.repeat(32);
  await modern('tools/call', { name: 'act', arguments: {} }, { headers: { traceparent: `00-${trace}-00000000000000ab-01` } });
  expect(await gateway.auditRow(({ traceId }) => traceId === trace)).toBeDefined();
});

describe('what one caller was given', () => {
  test('as a session is unknown to another, and still good for the first', async () => {
    const initialize = {
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'a', version: '1' } },
    };
    const begun = await post(initialize, { toolset: 'many' });
    const headers = { 'mcp-session-id': String(begun.headers.get('mcp-session-id')), 'mcp-protocol-version': '2025-11-25' };
    await begun.text();
    const ping = { method: 'ping', params: {} };
    const stolen = await post(ping, { toolset: 'many', token: guestToken, headers });
    const invented = await post(ping, { toolset: 'many', token: guestToken, headers: { ...headers, 'mcp-session-id': 'invented' } });
    expect([stolen.status, invented.status]).toEqual([404, 404]);
    expect(await stolen.text()).toBe(await invented.text());
    expect((await post(ping, { toolset: 'many', headers })).status).toBe(200);
  });

  const asked = async (): Promise<string> => {
    const { result } = (await (await modern('tools/call', { name: 'act', arguments: {} })).json()) as { result: { requestState: string } };
    return result.requestState;
  };
  const answered = (requestState: string, sent: Sent = {}) =>
    modern('tools/call', { name: 'act', arguments: {}, requestState, inputResponses: { ok: { action: 'accept' } } }, sent);

  test('as a state is refused to another, and still good for the first', async () => {
    const state = await asked();
    expect(await (await answered(state, { token: guestToken })).json()).toMatchObject({ error: { code: -32602 } });
    expect(callsSeen()).toHaveLength(1);
    expect(await (await answered(state)).json()).toMatchObject({ result: { resultType: 'complete' } });
  });

  test('as a state is refused when any bit of it was turned, and each try leaves a row', async () => {
    const state = Buffer.from(await asked(), 'base64url');
    const refusals = async () =>
      (await gateway.audit({ tool: 'act', limit: 10_000 })).filter(({ errorCode }) => errorCode === 'request_invalid').length;
    const before = await refusals();
    for (let index = 0; index < state.length; index += 1) {
      const edited = Buffer.from(state);
      edited[index] = (edited[index] as number) ^ (1 << (index % 8));
      expect(await (await answered(edited.toString('base64url'))).json()).toMatchObject({ error: { code: -32602 } });
    }
    expect(callsSeen()).toHaveLength(1);
    await pollUntil(async () => (await refusals()) === before + state.length || undefined, 'a row of each try');
  });
});

describe('the lists of two people', () => {
  /** All pages, as JSON or as a stream of events. */
  const list = async (token: string, accept: string): Promise<string[]> => {
    const names: string[] = [];
    let cursor: string | undefined;
    do {
      const response = await post(
        { method: 'tools/list', params: cursor === undefined ? {} : { cursor } },
        { token, accept, toolset: 'many' },
      );
      expect(response.headers.get('content-type')).toContain(accept);
      const text = await response.text();
      const message = JSON.parse(accept === 'application/json' ? text : (/^data: (.*)$/m.exec(text)?.[1] ?? ''));
      names.push(...message.result.tools.map(({ name }: { name: string }) => name));
      cursor = message.result.nextCursor;
    } while (cursor !== undefined);
    return names;
  };

  test.each(['application/json', 'text/event-stream'])('differ exactly as policy says, on every page, as %s', async (accept) => {
    expect(await list(adminToken, accept)).toEqual(manyNames);
    expect(await list(guestToken, accept)).toEqual(manyNames.filter((name) => !kept.includes(name)));
  });

  test('agree with what they may call: a forbid beats a permit', async () => {
    const call = async (name: string) =>
      (await post({ method: 'tools/call', params: { name, arguments: {} } }, { token: guestToken, toolset: 'many' })).json();
    expect(await call('tool-0001')).toMatchObject({ result: { content: [{ text: 'done' }] } });
    expect(await call('tool-0003')).toMatchObject({ error: { code: -32602 } });
  });
});

test('each request leaves one record, whatever became of it: who, what, of which thing, how it ended, how long it took', async () => {
  const traceOf = (digit: string) => ({ traceparent: `00-${digit.repeat(32)}-00000000000000ab-01` });
  const call = (name: string) => ({ method: 'tools/call', params: { name, arguments: {} } });
  expect((await post(call('tool-0001'), { toolset: 'many', token: guestToken, headers: traceOf('1') })).status).toBe(200);
  expect((await post(call('tool-0003'), { toolset: 'many', token: guestToken, headers: traceOf('2') })).status).toBe(200);
  expect((await post({ method: 'tools/list', params: {} }, { toolset: 'many', token: guestToken, headers: traceOf('3') })).status).toBe(
    200,
  );
  const of = (digit: string) =>
    pollUntil(async () => {
      const rows = (await gateway.audit({ trace: digit.repeat(32) })).filter(({ kind }) => kind !== 'intent');
      return rows.length > 0 ? rows : undefined;
    }, `the rows of ${digit}`);
  const who = { person: 'guest', project: 'default', toolset: 'many', durationMs: expect.any(Number) };
  expect(await of('1')).toEqual([expect.objectContaining({ ...who, action: 'callTool', tool: 'tool-0001', outcome: 'ok' })]);
  expect(await of('2')).toEqual([
    expect.objectContaining({
      ...who,
      action: 'callTool',
      tool: 'tool-0003',
      decision: 'deny',
      outcome: 'refused',
      errorCode: 'tool_unknown',
    }),
  ]);
  expect(await of('3')).toEqual([expect.objectContaining({ ...who, action: 'listTools', outcome: 'ok' })]);

  // a list that cannot be given, and a toolset that is not there
  const badCursor = { method: 'tools/list', params: { cursor: 'none of this list' } };
  expect(await (await post(badCursor, { toolset: 'many', token: guestToken, headers: traceOf('4') })).text()).toContain('cursor');
  expect((await post(call('act'), { toolset: 'not-there', token: guestToken, headers: traceOf('5') })).status).toBe(404);
  const refused = { kind: 'refusal', decision: 'deny', outcome: 'refused' };
  expect(await of('4')).toEqual([expect.objectContaining({ ...who, ...refused, action: 'listTools', errorCode: 'request_invalid' })]);
  expect(await of('5')).toEqual([
    expect.objectContaining({ ...who, ...refused, action: 'authenticate', toolset: 'not-there', errorCode: 'not_found' }),
  ]);
});

test('requests of nobody are counted with where they come from and what they wanted: one record for all of a minute', async () => {
  const strangers = [undefined, undefined, 'Bearer qd_nobody'];
  for (const authorization of strangers)
    for (const path of ['/mcp/many', '/v1/models'])
      expect(
        (
          await fetch(`${gateway.publicUrl}${path}`, {
            method: path === '/mcp/many' ? 'POST' : 'GET',
            headers: { ...(authorization ? { authorization } : {}) },
          })
        ).status,
      ).toBe(401);
  // a minute that has begun is written at the end
  await gateway.restart();
  const rows = await gateway.audit({ action: 'authenticate', kind: 'refusal' });
  const countOf = (door: string, code: string) =>
    rows
      .filter(
        ({ facts, errorCode, person }) => facts.door === door && facts.source === '127.0.0.1' && errorCode === code && person === null,
      )
      .reduce((sum, { facts }) => sum + Number(facts.count), 0);
  for (const door of ['mcp', 'models']) expect([countOf(door, 'not_authenticated'), countOf(door, 'token_refused')]).toEqual([2, 1]);
  // at most a row for each door, code and minute, of which two may have been met
  expect(rows.filter(({ facts }) => facts.source === '127.0.0.1').length).toBeLessThanOrEqual(8);
});
