import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../bench/gateway/free-port.ts';
import { startGateway } from '../../gateway/start-gateway.ts';
import type { HaltScope } from '../../schema/halt.ts';
import { liftHalt, putHalt } from '../../store/halts.ts';
import { startLoad } from '../support/audit-load.ts';
import { startCountingServer } from '../support/counting-server.ts';
import { pollUntil } from '../support/poll-until.ts';
import { beginStream, chunkEvent, type RawProvider, startRawProvider } from '../support/raw-provider.ts';
import { modernRequest } from '../support/running-edge.ts';
import { adminToken, guestToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

/** No upstream call begins later than this after a halt (SEC-11). */
const inForceMs = 2_000;

let gateway: RunningGateway;
let server: Awaited<ReturnType<typeof startCountingServer>>;
let provider: RawProvider;
let release: () => void = () => undefined;

beforeAll(async () => {
  [server, provider] = await Promise.all([startCountingServer(), startRawProvider()]);
  gateway = await startRunningGateway();
  await gateway.apply(
    ...['counting', 'other'].flatMap((name) => [
      { kind: 'McpServer', metadata: { name }, spec: { url: server.url } },
      { kind: 'Toolset', metadata: { name }, spec: { servers: [{ name }], naming: 'plain' } },
    ]),
    { kind: 'Provider', metadata: { name: 'raw' }, spec: { kind: 'openai-compatible', baseUrl: provider.url } },
    { kind: 'Model', metadata: { name: 'one' }, spec: { routes: [{ provider: 'raw', model: 'm' }] } },
    {
      kind: 'AccessBinding',
      metadata: { name: 'all' },
      spec: {
        subjects: [{ agentRole: 'reader' }, { agentRole: 'writer' }, { group: 'guests' }],
        toolsets: ['counting', 'other'],
        models: ['one'],
      },
    },
  );
  await gateway.ready('counting');
  await gateway.ready('other');
});
afterEach(async () => {
  release();
  server.state.before = async () => undefined;
  await gateway.database.$client.query('delete from halts');
  await pollUntil(async () => (await call(adminToken)).includes('of look') || undefined, 'the brake to be off');
});
afterAll(async () => {
  await gateway.close();
  await Promise.all([server.close(), provider.close()]);
});

const halt = (scope: HaltScope, name = '', project = 'default') =>
  putHalt(gateway.database, { org: 'default', project, scope, name, reason: 'a drill', haltedBy: 'admin', decisionId: 'dec_test' });

const call = async (token: string, { tool = 'look', toolset = 'counting', url = gateway.publicUrl, key = '' } = {}): Promise<string> => {
  const request = modernRequest('tools/call', { name: tool, arguments: {} }, { headers: { authorization: `Bearer ${token}` } });
  const headers = { ...request.headers, ...(key === '' ? {} : { 'idempotency-key': key }) };
  return (await fetch(`${url}/mcp/default/default/${toolset}`, { ...request, headers })).text();
};
const ask = (token: string, body: object = {}) =>
  fetch(`${gateway.publicUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': crypto.randomUUID() },
    body: JSON.stringify({ model: 'one', messages: [{ role: 'user', content: 'x' }], ...body }),
  });
const agentWithTokens = async (options: Parameters<typeof gateway.addAgent>[0] = {}) => {
  const agent = await gateway.addAgent(options);
  const token = (toolset: string) => gateway.mint(agent.id, `${gateway.publicUrl}/mcp/default/default/${toolset}`);
  return {
    ...agent,
    tools: await token('counting'),
    others: await token('other'),
    models: await gateway.mint(agent.id, `${gateway.publicUrl}/v1`),
  };
};
/** Holds calls at the server until `release`. */
const hold = (): void => {
  const { promise, resolve } = Promise.withResolvers<void>();
  release = resolve;
  server.state.before = () => promise;
};
const untilHalted = (token: string, options: Parameters<typeof call>[1] = {}) =>
  pollUntil(async () => (await call(token, options)).includes('"code":"halted"') || undefined, 'the brake');

test('a halted agent is cut in the middle of its calls and streams, and nothing new of it goes upstream; others go on', async () => {
  const halted = await agentWithTokens();
  const free = await agentWithTokens({ role: 'writer' });
  hold();
  provider.handle = (response) => void beginStream(response).write(chunkEvent({ content: 'begun' }));
  const cutCall = call(halted.tools);
  const listening = await fetch(
    `${gateway.publicUrl}/mcp/default/default/counting`,
    modernRequest(
      'subscriptions/listen',
      { notifications: { toolsListChanged: true } },
      { headers: { authorization: `Bearer ${halted.tools}` } },
    ),
  );
  const stream = await ask(halted.models, { stream: true });
  const reader = (stream.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
  expect((await reader.read()).value).toContain('begun');
  await pollUntil(() => server.calls.some(({ aborted }) => !aborted) || undefined, 'the call to arrive');
  const providerConnection = provider.requests.length;

  const haltedAt = performance.now();
  await halt('agent', halted.id);
  let rest = '';
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) rest += piece.value;
  expect(rest).toContain('"code":"halted"');
  expect(await cutCall).toContain('"code":"halted"');
  await listening.text();
  expect(performance.now() - haltedAt).toBeLessThan(inForceMs);
  await pollUntil(() => server.calls.every(({ aborted }) => aborted) || undefined, 'the server to hear of it');
  release();
  server.state.before = async () => undefined;

  const before = server.calls.length;
  expect(await call(halted.tools)).toContain('agent/default/default/survey/');
  expect((await ask(halted.models)).status).toBe(403);
  expect(server.calls).toHaveLength(before);
  expect(provider.requests).toHaveLength(providerConnection);
  expect(await call(free.tools)).toContain('of look');

  const rows = (await gateway.audit({ agent: halted.id })).map(
    ({ action, kind, outcome, errorCode }) => `${action} ${kind} ${outcome} ${errorCode}`,
  );
  expect(rows).toEqual(
    expect.arrayContaining([
      'callTool call cancelled halted',
      'callTool refusal refused halted',
      'invokeModel call error halted',
      'invokeModel refusal refused halted',
    ]),
  );
  const { rows: open } = await gateway.database.$client.query(
    'select * from reservations where agent_id = $1 and kind = $2 and settled_at is null',
    [halted.id, 'model'],
  );
  expect(open).toEqual([]);
});

test('a call that may have had an effect when it was cut is unknown for good, and is not made again when the halt is lifted', async () => {
  hold();
  const cut = call(adminToken, { tool: 'act', key: 'cut-1' });
  const before = server.countOf('act');
  await pollUntil(() => server.countOf('act') > before || undefined, 'the call to arrive');
  await halt('person', 'admin', '');
  expect(await cut).toContain('operation_unknown');
  release();
  server.state.before = async () => undefined;
  await liftHalt(gateway.database, { org: 'default', project: '', scope: 'person', name: 'admin' });
  await pollUntil(async () => (await call(adminToken)).includes('of look') || undefined, 'the brake to be off');
  expect(await call(adminToken, { tool: 'act', key: 'cut-1' })).toContain('operation_unknown');
  expect(server.countOf('act')).toBe(before + 1);
});

test('each scope stops what it names and nothing beside it', async () => {
  const reader = await agentWithTokens();
  const writer = await agentWithTokens({ role: 'writer' });
  const stops = async (): Promise<string[]> => {
    const asked = { reader: reader.tools, writer: writer.tools, guest: guestToken };
    const found: string[] = [];
    for (const [name, token] of Object.entries(asked)) {
      if ((await call(token)).includes('"code":"halted"')) found.push(name);
      const others = name === 'reader' ? reader.others : name === 'writer' ? writer.others : token;
      if ((await call(others, { toolset: 'other' })).includes('"code":"halted"')) found.push(`${name} elsewhere`);
    }
    return found;
  };
  const all = (name: string) => [name, `${name} elsewhere`];
  const cases: [HaltScope, string, string, string[]][] = [
    ['org', '', '', [...all('reader'), ...all('writer'), ...all('guest')]],
    ['project', '', 'default', [...all('reader'), ...all('writer'), ...all('guest')]],
    ['fleet', 'survey', 'default', [...all('reader'), ...all('writer')]],
    ['run', reader.runId, 'default', all('reader')],
    ['role', 'writer', 'default', all('writer')],
    ['agent', writer.id, 'default', all('writer')],
    ['server', 'counting', 'default', ['reader', 'writer', 'guest']],
    ['person', 'guest', '', all('guest')],
    // the agents act for this person
    ['person', 'admin', '', [...all('reader'), ...all('writer')]],
    ['server', 'counting', 'elsewhere', []],
  ];
  for (const [scope, name, project, expected] of cases) {
    await halt(scope, name, project);
    if (expected.length > 0) await pollUntil(async () => (await stops()).length > 0 || undefined, `the halt of ${scope}`);
    expect(await stops(), `${scope} ${name}`).toEqual(expected);
    await liftHalt(gateway.database, { org: 'default', project, scope, name });
    await pollUntil(async () => (await stops()).length === 0 || undefined, `the lift of ${scope}`);
  }
});

test('under load, with the notice lost, no call begins at the server later than two seconds after the halt', async () => {
  await gateway.database.$client.query('alter table halts disable trigger halts_changed');
  const seen: number[] = [];
  server.state.before = async () => void seen.push(performance.now());
  const load = startLoad(`${gateway.publicUrl}/mcp/counting`, { parallel: 4 });
  try {
    await pollUntil(() => seen.length > 50 || undefined, 'load');
    await halt('project');
    const haltedAt = performance.now();
    await pollUntil(() => load.calls.slice(-20).every(({ text }) => text.includes('"code":"halted"')) || undefined, 'the brake');
    await pollUntil(() => performance.now() - haltedAt > inForceMs || undefined, 'two seconds');
    expect(Math.max(...seen) - haltedAt).toBeLessThan(inForceMs);
  } finally {
    await load.stop();
    await gateway.database.$client.query('alter table halts enable trigger halts_changed');
  }
});

test('a replica that starts while something is halted knows it before its first call', async () => {
  await halt('server', 'counting');
  await untilHalted(adminToken);
  const port = await freePort();
  const second = await startGateway({ ...gateway.config, port, publicUrl: `http://127.0.0.1:${port}` });
  try {
    const before = server.calls.length;
    // its servers were not looked at: a halted one is not even asked what it offers
    await call(adminToken, { url: `http://127.0.0.1:${port}` });
    expect(server.calls).toHaveLength(before);
  } finally {
    await second.close();
  }
});

test('who cannot be told what is halted is let through to nothing', async () => {
  const client = await gateway.database.$client.connect();
  try {
    // the table is locked against readers: the database answers, and does not say what is halted
    await client.query('begin');
    await client.query('lock table halts in access exclusive mode');
    const refused = await pollUntil(async () => {
      const text = await call(adminToken);
      return text.includes('store_unavailable') ? text : undefined;
    }, 'calls to be refused');
    expect(refused).toContain('"retryAfterSeconds":2');
    const before = server.calls.length;
    expect(await call(adminToken)).toContain('store_unavailable');
    expect((await ask(adminToken)).status).toBe(503);
    expect(server.calls).toHaveLength(before);
  } finally {
    await client.query('rollback');
    client.release();
  }
});
