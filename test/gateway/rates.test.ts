import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { freePort } from '../../bench/gateway/free-port.ts';
import { leaseSeconds } from '../../gateway/limits/place-counter.ts';
import { startGateway } from '../../gateway/start-gateway.ts';
import { validateResource } from '../../schema/validate-resource.ts';
import { startCountingServer } from '../support/counting-server.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { pollUntil } from '../support/poll-until.ts';
import { type RawProvider, sendJson, startRawProvider, wholeAnswer } from '../support/raw-provider.ts';
import { modernRequest } from '../support/running-edge.ts';
import { adminToken, guestToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

let gateway: RunningGateway;
let server: Awaited<ReturnType<typeof startCountingServer>>;
let provider: RawProvider;
/** A window that does not end during a test. */
const perSeconds = 86_400;

/** Declares rates, and one call of a tool that no test uses beside them: when that is refused by its number, the new view is in force. */
let declared = 0;
const declare = async ({
  server: ofServer,
  model,
  project,
  role,
}: Partial<Record<'server' | 'model' | 'project' | 'role', object[]>> = {}) => {
  const rates = (of?: object[]) => (of ? { rates: of } : {});
  declared += 1;
  const marker = { tools: ['fail'], calls: 1, perSeconds: perSeconds - declared };
  await gateway.apply(
    { kind: 'Project', metadata: { name: 'default' }, spec: rates(project) },
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url, rates: [marker, ...(ofServer ?? [])] } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
    { kind: 'Provider', metadata: { name: 'raw' }, spec: { kind: 'openai-compatible', baseUrl: provider.url } },
    { kind: 'Model', metadata: { name: 'one' }, spec: { routes: [{ provider: 'raw', model: 'm' }], ...rates(model) } },
    {
      kind: 'AgentRole',
      metadata: { name: 'reader' },
      spec: { instructions: 'Read.', model: 'one', toolset: 'counting', output: { type: 'object' }, ...rates(role) },
    },
    {
      kind: 'AccessBinding',
      metadata: { name: 'all' },
      spec: { subjects: [{ agentRole: 'reader' }, { agentRole: 'writer' }, { group: 'guests' }], toolsets: ['counting'], models: ['one'] },
    },
  );
  await gateway.ready('counting');
  await pollUntil(
    async () => (await call(adminToken, 'fail')).message?.includes(`in ${marker.perSeconds} s`) || undefined,
    'the rates to be in force',
  );
};

beforeAll(async () => {
  [server, provider] = await Promise.all([startCountingServer(), startRawProvider()]);
  provider.handle = (response) => sendJson(response, 200, wholeAnswer());
  gateway = await startRunningGateway();
});
beforeEach(() => {
  server.state.before = async () => undefined;
});
afterAll(async () => {
  await gateway.close();
  await Promise.all([server.close(), provider.close()]);
});

type Answer = { text?: string; message?: string; code?: string; limit?: string; retryAfterSeconds?: number };
const call = async (token: string, tool = 'look', url = gateway.publicUrl): Promise<Answer> => {
  const request = modernRequest(
    'tools/call',
    { name: tool, arguments: {} },
    { headers: { authorization: `Bearer ${token}`, accept: 'application/json' } },
  );
  const { result, error } = (await (await fetch(`${url}/mcp/default/default/counting`, request)).json()) as {
    result?: { content: { text: string }[] };
    error?: { message: string; data: Answer };
  };
  return result ? { text: result.content[0]?.text ?? '' } : { ...error?.data, ...(error ? { message: error.message } : {}) };
};
const ask = (token: string) =>
  fetch(`${gateway.publicUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': crypto.randomUUID() },
    body: JSON.stringify({ model: 'one', messages: [{ role: 'user', content: 'x' }] }),
  });
const agent = async (options: Parameters<typeof gateway.addAgent>[0] = {}) => {
  const added = await gateway.addAgent(options);
  return {
    ...added,
    tools: await gateway.mint(added.id, `${gateway.publicUrl}/mcp/default/default/counting`),
    models: await gateway.mint(added.id, `${gateway.publicUrl}/v1`),
  };
};
const codes = async (times: number, once: () => Promise<Answer>): Promise<string[]> => {
  const found = [];
  for (let time = 0; time < times; time += 1) found.push((await once()).code ?? 'ok');
  return found;
};

test('call N+1 in a window is refused with the time to come again, in each dialect and on record; another person is unaffected', async () => {
  await declare({ server: [{ each: 'person', calls: 3, perSeconds }], model: [{ each: 'person', calls: 2, perSeconds }] });
  expect(await codes(3, () => call(guestToken))).toEqual(['ok', 'ok', 'ok']);
  const before = server.calls.length;
  const refused = await call(guestToken);
  expect(refused).toMatchObject({ code: 'rate_exhausted', limit: 'McpServer/counting', retryAfterSeconds: expect.any(Number) });
  expect(refused.retryAfterSeconds).toBeLessThanOrEqual(perSeconds);
  expect(server.calls).toHaveLength(before);
  expect(await call(adminToken)).toHaveProperty('text');

  const statuses = [(await ask(guestToken)).status, (await ask(guestToken)).status];
  expect(statuses).toEqual([200, 200]);
  const third = await ask(guestToken);
  expect(third.status).toBe(429);
  expect(Number(third.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(((await third.json()) as { error: object }).error).toMatchObject({ type: 'rate_limit_error', code: 'rate_exhausted' });
  expect((await ask(adminToken)).status).toBe(200);
  const row = await gateway.auditRow(({ errorCode, tool }) => errorCode === 'rate_exhausted' && tool === 'look');
  expect(row).toMatchObject({ kind: 'refusal', outcome: 'refused', decision: 'deny', person: 'guest' });
});

test('two gateways share a limit: together they let through exactly as many calls', async () => {
  const port = await freePort();
  const publicUrl = `http://127.0.0.1:${port}`;
  await declare({ server: [{ calls: 40, perSeconds }] });
  const second = await startGateway({ ...gateway.config, port, publicUrl });
  try {
    const looks = server.countOf('look');
    await pollUntil(async () => (await call(adminToken, 'look', publicUrl)).text, 'the second gateway');
    const found: Answer[] = [];
    // a few at a time: one caller has only so many of a server's connections
    while (found.length < 100)
      found.push(
        ...(await Promise.all([...Array(5)].flatMap(() => [gateway.publicUrl, publicUrl].map((url) => call(adminToken, 'look', url))))),
      );
    expect(found.filter(({ code }) => code === 'rate_exhausted').length).toBeGreaterThan(50);
    // one was spent when it was tried whether the rates are in force
    expect(server.countOf('look') - looks).toBe(39);
  } finally {
    await second.close();
  }
});

test('rates of a tool, a role, a run, an agent and a project each count what they name', async () => {
  await declare({ server: [{ tools: ['act'], calls: 1, perSeconds }] });
  expect(await codes(2, () => call(adminToken, 'act'))).toEqual(['ok', 'rate_exhausted']);
  expect(await call(adminToken)).toHaveProperty('text');

  await declare({
    role: [
      { each: 'agent', calls: 2, perSeconds },
      { each: 'run', calls: 3, perSeconds },
    ],
  });
  const [first, other] = [await agent(), await agent({ role: 'writer' })];
  const sibling = await agent({ runId: first.runId, ordinal: 1 });
  expect(await codes(3, () => call(first.tools))).toEqual(['ok', 'ok', 'rate_exhausted']);
  expect(await codes(2, () => call(sibling.tools))).toEqual(['ok', 'rate_exhausted']);
  expect(await codes(4, () => call(other.tools))).toEqual(['ok', 'ok', 'ok', 'ok']);
  // a model counts for the role like a tool does
  expect((await ask(first.models)).status).toBe(429);
  expect((await ask(other.models)).status).toBe(200);

  await declare({ project: [{ each: 'person', calls: 3, perSeconds }] });
  expect(await codes(4, () => call(guestToken))).toEqual(['ok', 'ok', 'ok', 'rate_exhausted']);
  // agents count for the person who launched them, models like tools
  await codes(3, () => call(adminToken));
  expect((await call(other.tools)).code).toBe('rate_exhausted');
  expect((await ask(other.models)).status).toBe(429);
});

test('so many calls at a time, and no more, whatever became of those before', async () => {
  await declare({ server: [{ each: 'person', atOnce: 2 }] });
  const waiting: (() => void)[] = [];
  server.state.before = () => new Promise((resolve) => void waiting.push(resolve));
  const held = [call(adminToken), call(adminToken)];
  await pollUntil(() => waiting.length === 2 || undefined, 'two calls to be under way');
  expect(await call(adminToken)).toMatchObject({ code: 'calls_exhausted', retryAfterSeconds: 1 });
  held.push(call(guestToken));
  await pollUntil(() => waiting.length === 3 || undefined, 'the call of somebody else');
  server.state.before = async () => undefined;
  for (const go of waiting) go();
  expect((await Promise.all(held)).map(({ code }) => code)).toEqual([undefined, undefined, undefined]);
  for (let time = 0; time < 5; time += 1) expect(await call(adminToken)).toHaveProperty('text');
});

test('so many calls at a time hold over all gateways: places go where calls are, and those of a gateway that is killed are free within seconds', {
  timeout: 60_000,
}, async () => {
  const port = await freePort();
  const publicUrl = `http://127.0.0.1:${port}`;
  await declare({ server: [{ atOnce: 3 }] });
  const second = await startGatewayProcess({ ...gateway.config, port, publicUrl });
  const waiting: (() => void)[] = [];
  const hold = () => {
    server.state.before = () => new Promise((resolve) => void waiting.push(resolve));
  };
  const letGo = () => {
    server.state.before = async () => undefined;
    for (const go of waiting.splice(0)) go();
  };
  try {
    await pollUntil(async () => (await call(adminToken, 'look', publicUrl)).text, 'the second gateway');
    expect(await call(adminToken)).toHaveProperty('text');
    hold();
    const held = [call(adminToken, 'look', publicUrl), call(adminToken), call(adminToken, 'look', publicUrl)];
    await pollUntil(() => waiting.length === 3 || undefined, 'three calls to be under way at two gateways');
    for (const url of [gateway.publicUrl, publicUrl])
      expect(await call(adminToken, 'look', url)).toMatchObject({
        code: 'calls_exhausted',
        limit: 'McpServer/counting',
        retryAfterSeconds: 1,
      });
    letGo();
    await Promise.all(held);

    // all three at one of them, though the other one had used some a moment ago
    hold();
    const callOnceFree = async (): Promise<void> => {
      const { code } = await call(adminToken, 'look', publicUrl);
      if (code === 'calls_exhausted') await callOnceFree();
    };
    const atSecond = [0, 1, 2].map(() => callOnceFree().catch(() => undefined));
    await pollUntil(() => waiting.length === 3 || undefined, 'three calls to be under way at the second');
    expect((await call(adminToken)).code).toBe('calls_exhausted');
    server.state.before = async () => undefined;
    await second.kill();
    const killedAt = performance.now();
    await Promise.all(atSecond);
    await pollUntil(async () => (await call(adminToken)).text, 'the places of the dead one', 15_000);
    expect(performance.now() - killedAt).toBeLessThan(leaseSeconds * 1000 + 2_000);
    letGo();
    for (let time = 0; time < 3; time += 1) expect(await call(adminToken)).toHaveProperty('text');
  } finally {
    letGo();
    await second.close();
  }
});

test('a stream too many of one caller ends at once; those of others stand, and so does the next one when one has left', async () => {
  await declare({ project: [{ each: 'person', of: 'streams', atOnce: 2 }] });
  const leaves: AbortController[] = [];
  /** Whether the stream that is opened stands: one that ends at once has its last word in it. */
  const stands = async (token: string): Promise<boolean> => {
    const leaving = new AbortController();
    leaves.push(leaving);
    const request = modernRequest(
      'subscriptions/listen',
      { notifications: { toolsListChanged: true } },
      { headers: { authorization: `Bearer ${token}` } },
    );
    const answer = await fetch(`${gateway.publicUrl}/mcp/default/default/counting`, { ...request, signal: leaving.signal });
    const reader = (answer.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (!text.includes('acknowledged') && !text.includes('"result"') && !text.includes('"error"')) {
      const { done, value } = await reader.read();
      if (done) return false;
      text += value;
    }
    if (!text.includes('acknowledged')) return false;
    // the end of a stream that ends at once follows its acknowledgement
    const rest = await Promise.race([reader.read(), new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 100))]);
    return rest === undefined;
  };
  expect([await stands(adminToken), await stands(adminToken), await stands(adminToken)]).toEqual([true, true, false]);
  expect([await stands(guestToken), await stands(guestToken)]).toEqual([true, true]);
  leaves[0]?.abort();
  await pollUntil(async () => (await stands(adminToken)) || undefined, 'a place to be free again');
  for (const leaving of leaves) leaving.abort();
});

test('a rate that says nothing, or something that cannot be, is refused by name', () => {
  const issues = (kind: string, spec: object): string => {
    const result = validateResource({ apiVersion: 'quarterdeck.dev/v1alpha1', kind, metadata: { name: 'x' }, spec });
    return result.ok ? '' : JSON.stringify(result.issues);
  };
  expect(issues('McpServer', { url: 'http://127.0.0.1/mcp', rates: [{ each: 'person' }] })).toContain('how many');
  expect(issues('Project', { rates: [{ of: 'streams', calls: 3 }] })).toContain('nothing but `atOnce`');
  expect(issues('Project', { rates: [{ tools: ['x'], calls: 3 }] })).toContain('tools');
  expect(issues('Project', { rates: [{ calls: 3, each: 'planet' }] })).not.toBe('');
});
