import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCountingServer } from '../support/counting-server.ts';
import { adminToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

let gateway: RunningGateway;
let server: Awaited<ReturnType<typeof startCountingServer>>;

beforeAll(async () => {
  server = await startCountingServer();
  gateway = await startRunningGateway();
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
    { kind: 'AccessBinding', metadata: { name: 'readers' }, spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['counting'] } },
  );
  await gateway.ready('counting');
});
afterAll(async () => {
  await gateway.close();
  await server.close();
});

type Sent = { token?: string; headers?: Record<string, string>; meta?: object; path?: string };
const call = async (tool: string, args: object, { token = adminToken, headers = {}, meta, path = '/mcp/counting' }: Sent = {}) => {
  const response = await fetch(`${gateway.publicUrl}${path}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...headers,
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: tool, arguments: args, ...(meta ? { _meta: meta } : {}) },
    }),
  });
  return { status: response.status, text: await response.text() };
};
const lastSeen = () => server.headersSeen.findLast((headers) => typeof headers.traceparent === 'string')?.traceparent;

test('a row says who, in which role and run, which tool, with which arguments, by which policies, and in which trace', async () => {
  const { id, runId } = await gateway.addAgent();
  const path = '/mcp/default/default/counting';
  const token = await gateway.mint(id, `${gateway.publicUrl}${path}`);
  await call('look', { path: '/a', value: 'secret' }, { token, path });
  const row = await gateway.auditRow((each) => each.agent === id);
  expect(row).toMatchObject({
    person: 'admin',
    role: 'reader',
    run: runId,
    tool: 'look',
    policies: [expect.stringMatching(/^binding\/readers/)],
    argumentsDigest: expect.stringMatching(/^[\w-]{22}$/),
    policyVersion: expect.stringMatching(/^[0-9a-f]{16}$/),
    decisionId: expect.stringMatching(/^dec_/),
    traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
    writer: expect.stringMatching(/^gateway-/),
    epoch: expect.any(Number),
    link: expect.any(Number),
    position: expect.any(Number),
  });
  expect(JSON.stringify(row)).not.toContain('secret');
});

test('the database holds a pseudonym for the person, and nothing that says who that is', async () => {
  await call('look', { path: '/person' });
  await gateway.auditRow(({ person }) => person === 'admin');
  const { rows } = await gateway.database.$client.query(`select person from audit_events where person is not null`);
  expect(new Set(rows.map(({ person }) => person.slice(0, 4)))).toEqual(new Set(['psn_']));
  const { rows: people } = await gateway.database.$client.query('select p::text as text from audit_people p');
  expect(JSON.stringify(people)).not.toContain('admin');
});

test('equal arguments have one digest, whatever the order of their keys, and others another', async () => {
  const digestOf = async (trace: string, args: object) => {
    await call('look', args, { headers: { traceparent: `00-${trace}-00000000000000ab-01` } });
    return (await gateway.auditRow(({ traceId }) => traceId === trace)).argumentsDigest;
  };
  const first = await digestOf('1'.repeat(32), { path: '/a', value: 'x' });
  expect(await digestOf('2'.repeat(32), { value: 'x', path: '/a' })).toBe(first);
  expect(await digestOf('3'.repeat(32), { value: 'y', path: '/a' })).not.toBe(first);
});

test('a call with megabytes of arguments leaves a small row, which says that it does not have all', async () => {
  const operationId = 'op-large-row';
  const paths = Array.from({ length: 20_000 }, (_, index) => `/folder/${index}-${'x'.repeat(60)}`);
  const { text } = await call(
    'act',
    { paths, file: `/${'y'.repeat(1_000_000)}`, url: `https://host.example.com/${'z'.repeat(500_000)}` },
    { headers: { 'idempotency-key': operationId } },
  );
  expect(text).toContain('of act');
  await gateway.auditRow((row) => row.operationId === operationId && row.kind === 'outcome');
  const rows = (await gateway.audit({ limit: 1000 })).filter((row) => row.operationId === operationId);
  expect(rows.map(({ kind }) => kind).sort()).toEqual(['intent', 'outcome']);
  for (const row of rows) expect(Buffer.byteLength(JSON.stringify(row))).toBeLessThan(32 * 1024);
  expect(rows.find(({ kind }) => kind === 'intent')?.facts).toMatchObject({ isShortened: true, bytes: expect.any(Number) });
});

test('policies that change have another version in the rows that follow', async () => {
  const versionOf = async (trace: string) => {
    await call('look', { path: '/v' }, { headers: { traceparent: `00-${trace}-00000000000000ab-01` } });
    return (await gateway.auditRow(({ traceId }) => traceId === trace)).policyVersion;
  };
  const before = await versionOf('4'.repeat(32));
  expect(await versionOf('5'.repeat(32))).toBe(before);
  const cedar = `@id("never") forbid (principal, action == Quarterdeck::Action::"callTool", resource) when { context.arguments.bytes > 100000 };`;
  await gateway.apply({ kind: 'PolicySet', metadata: { name: 'narrow' }, spec: { cedar } });
  let now = before;
  for (let attempt = 6; now === before && attempt < 60; attempt += 1) now = await versionOf(attempt.toString(16).padStart(32, 'a'));
  expect(now).not.toBe(before);
});

test.each([
  ['look', 'a header', { headers: { traceparent: `00-${'c'.repeat(32)}-00000000000000ab-01` } }, 'c'],
  ['act', 'a header', { headers: { traceparent: `00-${'d'.repeat(32)}-00000000000000ab-00` } }, 'd'],
  ['look', '`_meta`', { meta: { traceparent: `00-${'e'.repeat(32)}-00000000000000ab-01` } }, 'e'],
] as const)(
  'a trace of a call of %s that the caller began in %s goes on at the backend and stands in each row',
  async (tool, _where, sent, digit) => {
    const trace = digit.repeat(32);
    await call(tool, { path: '/t' }, sent);
    const kind = tool === 'look' ? 'call' : 'outcome';
    await gateway.auditRow((row) => row.traceId === trace && row.kind === kind);
    expect(lastSeen()).toMatch(new RegExp(`^00-${trace}-(?!00000000000000ab)[0-9a-f]{16}-0[01]$`));
    if (tool === 'act')
      expect((await gateway.audit()).filter(({ traceId }) => traceId === trace).map(({ kind }) => kind)).toEqual(['intent', 'outcome']);
  },
);

test.each([
  'nonsense',
  `00-${'0'.repeat(32)}-00000000000000ab-01`,
  `ff-${'a'.repeat(32)}-00000000000000ab-01`,
  `00-${'A'.repeat(32)}-00000000000000ab-01`,
])('a trace that is none, %s, is not gone on with: the gateway begins one', async (traceparent) => {
  await call('look', { path: '/none' }, { headers: { traceparent } });
  const [, trace = ''] = String(lastSeen()).split('-');
  expect(trace).toMatch(/^[0-9a-f]{32}$/);
  expect(traceparent).not.toContain(trace);
  await gateway.auditRow(({ traceId }) => traceId === trace);
});

test('callers that nobody knows leave one row for each source and minute, at either door', async () => {
  for (let index = 0; index < 30; index += 1) await call('look', {}, { token: 'qd_nobody-at-all-0123456789' });
  await fetch(`${gateway.publicUrl}/v1/models`);
  await gateway.restart();
  // whoever is known has rows of their own
  const unknown = (await gateway.audit({ action: 'authenticate' })).filter(({ person }) => person === null);
  const rows = unknown.map(({ errorCode, facts: { door, count, source } }) => ({ errorCode, door, count, source }));
  const counted = rows.filter(({ door }) => door === 'mcp');
  expect(counted.reduce((sum, { count }) => sum + Number(count), 0)).toBe(30);
  expect(counted.length).toBeLessThan(3);
  expect(counted[0]).toMatchObject({ errorCode: 'token_refused', source: '127.0.0.1' });
  expect(rows.filter(({ door }) => door === 'models')).toMatchObject([{ errorCode: 'not_authenticated', count: 1 }]);
});
