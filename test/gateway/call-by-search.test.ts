import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../gateway/mcp/message.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { getApproval } from '../../store/approvals.ts';
import { decideApproval } from '../../store/decide-approval.ts';
import { putHalt } from '../../store/halts.ts';
import { approvalEvent } from '../support/ask-approval.ts';
import { openAuditLog } from '../support/audit-log.ts';
import { startLegacyFixture } from '../support/conformance/legacy-server.ts';
import { startModernFixture } from '../support/conformance/modern-server.ts';
import { startCountingServer } from '../support/counting-server.ts';
import { pollUntil } from '../support/poll-until.ts';
import { modernRequest } from '../support/running-edge.ts';
import { adminToken, guestToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';
import { connectLegacyPeer, connectModernPeer, type Peer } from '../support/sdk-peers.ts';

const text = { type: 'string' };
const schema = (properties: Record<string, object>, required: string[] = []) => ({ type: 'object' as const, properties, required });
const readOnly = { annotations: { readOnlyHint: true } };
const tools = [
  { name: 'look', description: 'Looks at a file', inputSchema: schema({ path: text }), ...readOnly },
  { name: 'weigh', title: 'Scales', description: 'Weighs a parcel', inputSchema: schema({ parcel: text }, ['parcel']), ...readOnly },
  { name: 'mail', description: 'Sends a parcel', inputSchema: schema({ path: text, value: text }) },
  { name: 'wipe', description: 'Wipes a parcel off the earth', inputSchema: schema({ path: text }) },
  { name: 'few', description: 'May be called twice', inputSchema: schema({}), ...readOnly },
  { name: 'region', description: 'Is in a region', inputSchema: schema({ region: { ...text, 'x-mcp-header': 'Region' } }), ...readOnly },
  { name: 'find_tool', description: 'A parcel of the server that nobody gets to see', inputSchema: schema({}), ...readOnly },
];
const action = 'action == Quarterdeck::Action::"callTool", resource';
const policies = `@id("no-wiping") forbid (principal in Quarterdeck::Group::"default/guests", ${action})
when { resource == Quarterdeck::Tool::"default/default/counting/wipe" };
@id("not-there") forbid (principal, ${action}) when { context.arguments.paths.contains("/out/never") };
@id("ask") @approve("role:reviewer") @expires("1h") forbid (principal, ${action})
when { context.arguments.paths.contains("/out/post") } unless { context.approvedCall };`;

let gateway: RunningGateway;
let server: Awaited<ReturnType<typeof startCountingServer>>;
let fixtures: Awaited<ReturnType<typeof startModernFixture>>[];
const peers: Peer[] = [];

beforeAll(async () => {
  server = await startCountingServer();
  server.state.tools = tools;
  gateway = await startRunningGateway();
  await gateway.apply(
    {
      kind: 'McpServer',
      metadata: { name: 'counting' },
      spec: { url: server.url, timeoutSeconds: 30, rates: [{ tools: ['few'], each: 'agent', calls: 2, perSeconds: 86_400 }] },
    },
    { kind: 'Toolset', metadata: { name: 'many' }, spec: { servers: [{ name: 'counting' }], naming: 'plain', expose: 'search' } },
    {
      kind: 'AccessBinding',
      metadata: { name: 'guests' },
      spec: { subjects: [{ group: 'guests' }, { agentRole: 'reader' }], toolsets: ['many'] },
    },
    {
      kind: 'McpServer',
      metadata: { name: 'labelled' },
      spec: { url: server.url, timeoutSeconds: 30, flow: { tools: { look: { secrecy: 2 }, mail: { sink: true, maxSecrecy: 1 } } } },
    },
    { kind: 'Toolset', metadata: { name: 'labels' }, spec: { servers: [{ name: 'labelled' }], naming: 'plain', expose: 'search' } },
    { kind: 'AccessBinding', metadata: { name: 'labels' }, spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['labels'] } },
    { kind: 'PolicySet', metadata: { name: 'rules' }, spec: { cedar: policies } },
  );
  await gateway.ready('many');
  await gateway.ready('labels');
  fixtures = [await startLegacyFixture(), await startModernFixture()];
  for (const [index, name] of (['legacy', 'modern'] as const).entries()) {
    await gateway.apply(
      { kind: 'McpServer', metadata: { name }, spec: { url: fixtures[index]?.url } },
      { kind: 'Toolset', metadata: { name }, spec: { servers: [{ name }], naming: 'plain', expose: 'search' } },
    );
    await gateway.ready(name);
  }
});
afterAll(async () => {
  for (const peer of peers) await peer.close().catch(() => undefined);
  await gateway.close();
  await server.close();
  for (const fixture of fixtures) await fixture.close();
});

const open = async (connect: typeof connectModernPeer, token = guestToken, path = 'many'): Promise<Peer> => {
  const peer = await connect(`${gateway.publicUrl}/mcp/${path}`, token);
  peers.push(peer);
  return peer;
};

type Asked = { token?: string; operationId?: string; headers?: Record<string, string>; path?: string; method?: string; meta?: JsonObject };
// biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
const ask = async (params: JsonObject, asked: Asked = {}): Promise<any> => {
  const { token = guestToken, operationId, headers, path = 'default/default/many', method = 'tools/call', meta = {} } = asked;
  const own = operationId === undefined ? {} : { 'idempotency-key': operationId };
  const request = modernRequest(method, params, {
    headers: { authorization: `Bearer ${token}`, accept: 'application/json', ...own, ...headers },
    meta,
  });
  return (await fetch(`${gateway.publicUrl}/mcp/${path}`, request)).json();
};
const direct = (name: string, given: JsonObject = {}, asked: Asked = {}) => ask({ name, arguments: given }, asked);
const found = (name: string, given: JsonObject = {}, asked: Asked = {}) => direct('call_tool', { name, arguments: given }, asked);
const find = async (query: string, token = guestToken, limit?: number): Promise<string[]> => {
  const { result } = await direct('find_tool', { query, ...(limit === undefined ? {} : { limit }) }, { token });
  return result.structuredContent.tools.map(({ name }: { name: string }) => name);
};
/** A refusal without the id that is its alone. */
const withoutId = ({ error }: { error: { code: number; message: string; data: JsonObject } }) => {
  const { decisionId: _own, ...data } = error.data;
  return { ...error, data };
};

describe('a toolset that exposes search', () => {
  test.each([
    ['v1', connectLegacyPeer],
    ['v2', connectModernPeer],
  ] as const)('lists exactly two tools to the %s SDK, which finds one and calls it by them', async (_sdk, connect) => {
    const peer = await open(connect);
    expect(await peer.listTools()).toEqual(['call_tool', 'find_tool']);
    const { structuredContent, content } = (await peer.callTool('find_tool', { query: 'weigh', limit: 1 })) as JsonObject & {
      structuredContent: { tools: JsonObject[] };
      content: { text: string }[];
    };
    expect(structuredContent.tools).toEqual([
      {
        name: 'weigh',
        title: 'Scales',
        description: 'Weighs a parcel',
        inputSchema: tools[1]?.inputSchema,
        annotations: { readOnlyHint: true },
      },
    ]);
    expect(JSON.parse(content[0]?.text ?? '')).toEqual(structuredContent);
    const answer = await peer.callTool('call_tool', { name: 'weigh', arguments: { parcel: 'p1' } });
    expect(answer).toMatchObject({ content: [{ text: expect.stringMatching(/^call \d+ of weigh$/) }] });
    expect(server.calls.at(-1)).toMatchObject({ tool: 'weigh', arguments: { parcel: 'p1' } });
    expect(await peer.callTool('weigh', { parcel: 'p2' }), 'by its own name it is the same').toMatchObject({
      content: [{ text: expect.stringMatching(/^call \d+ of weigh$/) }],
    });
  });

  test('finds what the caller may use and nothing else, best first, and no more than asked for', async () => {
    expect(await find('parcel', adminToken)).toEqual(expect.arrayContaining(['mail', 'weigh', 'wipe']));
    expect((await find('wipe a parcel', adminToken))[0]).toBe('wipe');
    for (const query of ['wipe', 'wipe a parcel off the earth', 'wip', 'parcel file region path'])
      for (const limit of [undefined, 50]) expect(await find(query, guestToken, limit), query).not.toContain('wipe');
    expect(await find('parcel', guestToken)).toEqual(expect.arrayContaining(['mail', 'weigh']));
    expect(await find('parcel', guestToken, 1)).toHaveLength(1);
    expect(await find('no such thing whatever')).toEqual([]);
    const row = await gateway.auditRow(({ action: what, person }) => what === 'findTool' && person === 'guest');
    expect(row).toMatchObject({ kind: 'call', outcome: 'ok', toolset: 'many', facts: { offered: 5 } });
  });

  test('is as unknown to who may use nothing of it as any other name', async () => {
    for (const name of ['find_tool', 'call_tool', 'no_tool']) {
      const { error } = await direct(name, { name: 'greet', query: 'greet' }, { path: 'modern' });
      expect(error).toMatchObject({ code: -32602, message: `Unknown tool: ${name}`, data: { code: 'tool_unknown' } });
    }
    expect((await ask({}, { path: 'modern', method: 'tools/list' })).result.tools).toEqual([]);
  });

  test('says what is wrong with a query, and leaves a row', async () => {
    for (const [given, fault] of [
      [{}, '`arguments.query` is missing'],
      [{ query: 'x', limit: 51 }, '`arguments.limit` must be <= 50'],
      [{ query: 'x'.repeat(1001) }, '`arguments.query` must NOT have more than 1000 characters'],
      [{ query: 'x', more: 1 }, '`arguments.more` is not known'],
    ] as const)
      expect((await direct('find_tool', given)).error).toMatchObject({
        code: -32602,
        message: `Invalid arguments for tool find_tool: ${fault}.`,
      });
    await gateway.auditRow(({ action, errorCode }) => action === 'findTool' && errorCode === 'request_invalid');
  });

  test('has its own two in place of what a server calls the same', async () => {
    expect(await find('parcel that nobody gets to see', adminToken, 50)).not.toContain('find_tool');
    expect((await found('find_tool', {}, { token: adminToken })).error.message).toContain('is called by itself');
    expect(server.countOf('find_tool')).toBe(0);
  });

  test('is a word of the schema: nothing is renamed to its two tools', async () => {
    const renamed = { name: 'counting', rename: { look: 'call_tool' } };
    const declare = (spec: object) => gateway.apply({ kind: 'Toolset', metadata: { name: 'other' }, spec });
    await expect(async () => declare({ servers: [renamed], expose: 'search' })).rejects.toThrow('nothing renamed to `find_tool`');
    await expect(async () => declare({ servers: [renamed], expose: 'some' })).rejects.toThrow('expected `all` or `search`');
  });
});

describe('a call by call_tool is one of the inner tool', () => {
  const forms: [string, (name: string, given: JsonObject) => JsonObject][] = [
    ['flat', (name, given) => ({ name, arguments: given })],
    ['nested', (name, given) => ({ arguments: { name, arguments: given } })],
    ['nested among the arguments', (name, given) => ({ arguments: { name, ...given } })],
  ];

  test.each(forms)('whose name is %s: policies, schema and audit see that one alone', async (_form, write) => {
    const call = (name: string, given: JsonObject) => direct('call_tool', write(name, given));
    const before = server.calls.length;
    for (const [name, given] of [
      ['wipe', { path: '/a' }],
      ['nowhere', { path: '/a' }],
      ['look', { path: '/out/never' }],
      ['weigh', { parcel: 1 }],
      ['weigh', {}],
    ] as const) {
      const [refused, asDirect] = [await call(name, given), await direct(name, given)];
      expect(withoutId(refused), name).toEqual(withoutId(asDirect));
      expect(refused.error.message).toContain(name);
      expect(refused.error.message).not.toContain('call_tool');
      const { decisionId } = refused.error.data;
      if (decisionId)
        expect(await gateway.auditRow((row) => row.decisionId === decisionId)).toMatchObject({
          kind: 'refusal',
          action: 'callTool',
          tool: name,
        });
    }
    expect(server.calls).toHaveLength(before);
    expect(await call('look', { path: '/in/here' })).toMatchObject({ result: { content: [{ text: expect.stringContaining('of look') }] } });
    expect(server.calls.at(-1)).toMatchObject({ tool: 'look', arguments: { path: '/in/here' } });
    const row = await gateway.auditRow(({ tool, outcome, facts }) => {
      return tool === 'look' && outcome === 'ok' && JSON.stringify(facts).includes('/in/here');
    });
    expect(row).toMatchObject({ action: 'callTool', server: 'counting', toolset: 'many', facts: { paths: ['/in/here'] } });
  });

  test('whose name stands at the top is that one, whatever its arguments say', async () => {
    await found('look', { name: 'wipe', path: '/x' }, { token: adminToken });
    expect(server.calls.at(-1)).toMatchObject({ tool: 'look', arguments: { name: 'wipe', path: '/x' } });
    expect(server.countOf('wipe')).toBe(0);
  });

  test('the rate of the real tool counts it, as it counts direct calls', async () => {
    const { id } = await gateway.addAgent();
    const agent = { token: await gateway.mint(id, `${gateway.publicUrl}/mcp/default/default/many`) };
    const before = server.countOf('few');
    expect(await found('few', {}, agent)).toHaveProperty('result');
    expect(await direct('few', {}, agent)).toHaveProperty('result');
    const [refused, asDirect] = [await found('few', {}, agent), await direct('few', {}, agent)];
    expect(refused.error).toMatchObject({ data: { code: 'rate_exhausted', limit: 'McpServer/counting' } });
    expect(asDirect.error.data).toMatchObject({ code: 'rate_exhausted', limit: 'McpServer/counting' });
    expect(server.countOf('few')).toBe(before + 2);
    expect(await found('look', {}, agent), 'another tool behind the same name is not counted').toHaveProperty('result');
    const row = await gateway.auditRow(({ agent: who, errorCode }) => who === id && errorCode === 'rate_exhausted');
    expect(row).toMatchObject({ tool: 'few', server: 'counting', kind: 'refusal' });
  });

  test('an operation is the same one by either way: it is made once', async () => {
    const operationId = `op-${randomUUID()}`;
    const before = server.countOf('mail');
    const first = await found('mail', { value: 'x' }, { operationId });
    expect(first).toHaveProperty('result');
    expect(await found('mail', { value: 'x' }, { operationId })).toEqual(first);
    expect(await direct('mail', { value: 'x' }, { operationId })).toEqual(first);
    expect((await found('mail', { value: 'y' }, { operationId })).error.data.code).toBe('operation_conflict');
    expect(server.countOf('mail')).toBe(before + 1);
    const [intent] = (await gateway.audit({ kind: 'intent' })).filter((row) => row.operationId === operationId);
    expect(intent).toMatchObject({ tool: 'mail', action: 'callTool' });
  });

  test('a person approves the inner call, by its digest, and that one alone is let through', async () => {
    const operationId = `op-${randomUUID()}`;
    const given = { path: '/out/post', value: 'x' };
    const before = server.countOf('mail');
    const asked = await found('mail', given, { operationId });
    expect(asked.error.message).toMatch(/^mail: a person has to approve this call/);
    const { approvalId: id } = asked.error.data;
    expect((await direct('mail', given, { operationId })).error.data.approvalId, 'the direct call is the same call').toBe(id);
    const key = { ...defaultTenancy, id };
    const approval = await getApproval(gateway.database, key);
    expect(approval).toMatchObject({ tool: 'mail', server: 'counting' });
    const { digest, rules } = approval;
    const verdict = { person: 'rita', verdict: 'approve' as const, digest, stamp: 'token', comment: null, decisionId: 'dec_r' };
    const log = openAuditLog(gateway.database);
    await decideApproval(
      gateway.database,
      log,
      key,
      { ...verdict, policies: rules.map(({ policy }) => policy) },
      approvalEvent('approve'),
      {
        mayApproveOwn: false,
      },
    );
    expect((await found('mail', { ...given, value: 'y' }, { operationId: `op-${randomUUID()}` })).error.data.code).toBe('needs_person');
    expect(await found('mail', given, { operationId })).toHaveProperty('result');
    expect(server.countOf('mail')).toBe(before + 1);
    expect(server.calls.at(-1)).toMatchObject({ tool: 'mail', arguments: given });
  });

  test('what it reads its caller carries, and what the inner tool may not carry out is refused', async () => {
    const { id } = await gateway.addAgent();
    const path = 'default/default/labels';
    const agent = { token: await gateway.mint(id, `${gateway.publicUrl}/mcp/${path}`), path };
    expect(await found('mail', { value: 'before' }, agent)).toHaveProperty('result');
    const before = server.countOf('mail');
    expect(await found('look', { path: '/in/secret' }, agent)).toHaveProperty('result');
    const refused = await found('mail', { value: 'after' }, agent);
    expect(refused.error.message).toContain('confidential (2) from default/default/labelled/tool/look');
    expect(server.countOf('mail')).toBe(before);
  });

  test('the brake holds for finding and calling as for all else', async () => {
    const { id } = await gateway.addAgent();
    const agent = { token: await gateway.mint(id, `${gateway.publicUrl}/mcp/default/default/many`) };
    expect(await found('look', {}, agent)).toHaveProperty('result');
    const halt = { ...defaultTenancy, scope: 'agent' as const, name: id, reason: 'a drill', haltedBy: 'admin', decisionId: 'dec_test' };
    await putHalt(gateway.database, halt);
    await pollUntil(async () => (await found('look', {}, agent)).error?.data.code === 'halted' || undefined, 'the brake');
    await pollUntil(
      async () => (await direct('find_tool', { query: 'look' }, agent)).error?.data.code === 'halted' || undefined,
      'the brake',
    );
    expect(await gateway.auditRow(({ action, errorCode }) => action === 'findTool' && errorCode === 'halted')).toMatchObject({
      ...{ kind: 'refusal', decision: 'deny', outcome: 'refused' },
    });
  });

  test('what is no call of a tool is refused, says why, and leaves a row', async () => {
    for (const [given, fault] of [
      [{}, '`arguments.name` is missing'],
      [{ arguments: { path: '/a' } }, '`arguments.name` is missing'],
      [{ name: 7 }, '`arguments.name` is no name of a tool'],
      [{ name: 'look', arguments: '{"path":"/a"}' }, '`arguments.arguments` is not an object'],
      [{ name: 'look', path: '/a' }, '`arguments.path` is not known; the arguments of the tool stand in `arguments`'],
      [{ name: 'call_tool', arguments: { name: 'look' } }, 'call_tool is called by itself and not by another tool'],
      [{ arguments: { name: 'call_tool', arguments: { name: 'wipe' } } }, 'call_tool is called by itself and not by another tool'],
    ] as const)
      expect((await direct('call_tool', given)).error).toMatchObject({
        code: -32602,
        message: `Invalid arguments for tool call_tool: ${fault}.`,
        data: { code: 'request_invalid' },
      });
    await gateway.auditRow(({ tool, errorCode }) => tool === 'call_tool' && errorCode === 'request_invalid');
  });

  test('a key that occurs twice is refused before anybody reads it', async () => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'call_tool', arguments: 'HERE' } }).replace(
      '"HERE"',
      '{"name":"look","name":"wipe","arguments":{}}',
    );
    const headers = {
      authorization: `Bearer ${guestToken}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    };
    const answer = await (await fetch(`${gateway.publicUrl}/mcp/many`, { method: 'POST', headers, body })).text();
    expect(answer).toContain('occurs twice in one object');
  });

  test('headers that repeat arguments need not be there, and have to be true where they are', async () => {
    const given = { region: 'north' };
    expect((await direct('region', given)).error.code).toBe(-32020);
    expect(await found('region', given)).toHaveProperty('result');
    expect(server.calls.at(-1)).toMatchObject({ tool: 'region', arguments: given });
    expect(await found('region', given, { headers: { 'mcp-param-region': 'north' } })).toHaveProperty('result');
    const lying = await found('region', given, { headers: { 'mcp-param-region': 'south' } });
    expect(lying.error).toMatchObject({ code: -32020, message: expect.stringContaining('mcp-param-region') });
  });

  test('no row of the audit says call_tool of a call that was one', async () => {
    const { result } = await found('weigh', { parcel: 'audit' });
    expect(result).toBeDefined();
    await gateway.auditRow(({ tool }) => tool === 'weigh');
    const named = (await gateway.audit()).filter(({ tool, toolset }) => tool === 'call_tool' && toolset === 'many');
    expect(named.every(({ kind, errorCode }) => kind === 'refusal' && errorCode === 'request_invalid')).toBe(true);
    expect(server.countOf('call_tool')).toBe(0);
  });
});

describe.each(['legacy', 'modern'])('what goes on while a tool of a %s server runs, called by call_tool', (path) => {
  test.each([
    ['v1', connectLegacyPeer],
    ['v2', connectModernPeer],
  ] as const)('reaches the client: its progress and its questions, to the %s SDK', async (_sdk, connect) => {
    const peer = await open(connect, adminToken, path);
    const seen: number[] = [];
    const onProgress = ({ progress }: { progress: number }) => void seen.push(progress);
    await peer.callTool('call_tool', { name: 'test_tool_with_progress', arguments: {} }, { onProgress });
    expect(seen).toEqual([0, 50, 100]);
    for (const [name, answer] of [
      ['test_input_required_result_elicitation', 'Hello, Alice!'],
      ['test_input_required_result_multi_round', 'Multi-round complete for Alice who likes blue'],
    ])
      expect(await peer.callTool('call_tool', { name, arguments: {} })).toMatchObject({ content: [{ text: answer }] });
  });

  test('becomes a task that is asked for as one of the inner tool', async () => {
    const capabilities = { extensions: { 'io.modelcontextprotocol/tasks': {} } };
    const asked = { token: adminToken, path, meta: { 'io.modelcontextprotocol/clientCapabilities': capabilities } };
    const { result } = await found('slow_compute', { seconds: 1, label: 'x' }, asked);
    expect(result).toMatchObject({ resultType: 'task', status: 'working' });
    const { taskId } = result;
    const done = await pollUntil(async () => {
      const task = (await ask({ taskId }, { ...asked, method: 'tasks/get' })).result;
      return task.status === 'completed' ? task : undefined;
    }, 'the task to be completed');
    expect(done).toMatchObject({ result: { content: [{ text: 'slow_compute x done' }] } });
  });
});
