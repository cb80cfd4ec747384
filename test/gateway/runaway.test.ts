import { afterAll, beforeAll, expect, test } from 'vitest';
import { getAgent } from '../../store/agents.ts';
import { startCountingServer } from '../support/counting-server.ts';
import { type RawProvider, sendJson, startRawProvider, wholeAnswer } from '../support/raw-provider.ts';
import { modernRequest } from '../support/running-edge.ts';
import { type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

let gateway: RunningGateway;
let server: Awaited<ReturnType<typeof startCountingServer>>;
let provider: RawProvider;
/** What the provider charges for a call: nearly as much as was set aside. */
const usage = { prompt_tokens: 20, completion_tokens: 90, total_tokens: 110 };

beforeAll(async () => {
  [server, provider] = await Promise.all([startCountingServer(), startRawProvider()]);
  provider.handle = (response) => sendJson(response, 200, wholeAnswer('again', usage));
  gateway = await startRunningGateway();
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
    { kind: 'Provider', metadata: { name: 'raw' }, spec: { kind: 'openai-compatible', baseUrl: provider.url } },
    { kind: 'Model', metadata: { name: 'dear' }, spec: { routes: [{ provider: 'raw', model: 'm' }], maxOutputTokens: 100 } },
    {
      kind: 'AccessBinding',
      metadata: { name: 'all' },
      spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['counting'], models: ['dear'] },
    },
  );
  await gateway.ready('counting');
});
afterAll(async () => {
  await gateway.close();
  await Promise.all([server.close(), provider.close()]);
});

test('an agent that asks a dear model as fast as it can is stopped before its tokens are used up, however many it asks at once', async () => {
  const tokens = 2_000;
  const { id } = await gateway.addAgent({ limits: { steps: 1000, tokens } });
  const token = await gateway.mint(id, `${gateway.publicUrl}/v1`);
  const ask = () =>
    fetch(`${gateway.publicUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': crypto.randomUUID() },
      body: JSON.stringify({ model: 'dear', messages: [{ role: 'user', content: 'x' }] }),
    });
  const statuses: number[] = [];
  for (let round = 0; round < 5; round += 1)
    statuses.push(...(await Promise.all(Array.from({ length: 20 }, async () => (await ask()).status))));
  const paid = provider.requests.length * usage.total_tokens;
  expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(70);
  expect(paid).toBeLessThanOrEqual(tokens);
  const agent = await getAgent(gateway.database, id);
  expect(agent.tokens).toBe(paid);
});

test('an agent that makes the same call again and again is stopped, and one that sends or asks for too much is told so', async () => {
  const { id } = await gateway.addAgent({ limits: { calls: 1000, sameCalls: 3, argumentBytes: 200, resultBytes: 40 } });
  const token = await gateway.mint(id, `${gateway.publicUrl}/mcp/default/default/counting`);
  const call = async (given: object, tool = 'look') => {
    const request = modernRequest(
      'tools/call',
      { name: tool, arguments: given },
      { headers: { authorization: `Bearer ${token}`, accept: 'application/json' } },
    );
    return (await fetch(`${gateway.publicUrl}/mcp/default/default/counting`, request)).text();
  };
  const before = server.calls.length;
  const answers: string[] = [];
  for (let time = 0; time < 6; time += 1) answers.push(await call({ path: '/same' }));
  expect(server.calls.length - before).toBe(3);
  expect(answers.slice(3).every((text) => text.includes('budget_exhausted') && text.includes('limit_repeats'))).toBe(true);
  expect(await call({ path: 'x'.repeat(300) })).toContain('request_too_large');
  expect(server.calls.length - before).toBe(3);
  const large = await call({ path: '/other' });
  expect(large).toContain('over the limit of 40 bytes');
  expect(large).not.toContain('call 4');
});
