import { afterEach, beforeEach, expect, test } from 'vitest';
import { createGatewayClient } from '../../activities/gateway-client.ts';
import { createRunTokens } from '../../activities/run-tokens.ts';
import { type FakeGateway, pretendedProofs, sayJson, startFakeGateway, toolText } from './fake-gateway.ts';

const agentId = 'default/default/survey/run_1/scout/scout/0';
const { signal } = new AbortController();
const call = { toolset: 'survey-scan', tool: 'directory_tree', arguments: { path: '/input' }, operationId: `${agentId}/step-1/call-0` };

let fake: FakeGateway;
let now = 0;
const clientOf = () =>
  createGatewayClient({
    gatewayUrl: fake.url,
    tokens: createRunTokens({ issuerUrl: fake.url, proofs: pretendedProofs, clock: () => now }),
  });

beforeEach(async () => {
  fake = await startFakeGateway();
  now = 1_000_000;
});
afterEach(() => fake.close());

test('calls a tool with a token of the agent, the headers of the revision and the operation id', async () => {
  fake.script.onTool = () => toolText('a tree');
  expect(await clientOf().callTool({ agentId, signal }, call)).toEqual({ failed: false, text: 'a tree' });
  expect(fake.seen.calls).toEqual([{ agentId, ...call, operationId: call.operationId }]);
  expect(fake.seen.headers[0]).toMatchObject({
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': 'directory_tree',
    'idempotency-key': call.operationId,
  });
});

test('reads an answer that comes as a stream of events', async () => {
  fake.script.listAs = 'events';
  expect((await clientOf().listTools({ agentId, signal }, 'survey-scan')).map(({ name }) => name)).toEqual(['directory_tree']);
});

test('keeps a token until shortly before its end, one for each audience', async () => {
  const client = clientOf();
  fake.script.onTool = () => toolText('');
  fake.script.onModel = () => sayJson({});
  for (const _ of [1, 2, 3]) await client.callTool({ agentId, signal }, call);
  expect(fake.seen.tokens).toBe(1);
  await client.complete({ agentId, signal }, { model: 'm', messages: [], max_tokens: 1, stream: false }, 'op');
  expect(fake.seen.tokens).toBe(2);
  now += 271_000;
  await client.callTool({ agentId, signal }, call);
  expect(fake.seen.tokens).toBe(3);
});

test('asks for a new token once when the gateway does not take the old one', async () => {
  fake.script.refuseTokens.add('token-1');
  expect(await clientOf().callTool({ agentId, signal }, call)).toMatchObject({ failed: false });
  expect(fake.seen.tokens).toBe(2);
  fake.script.refuseTokens.add('token-3').add('token-4');
  await expect(clientOf().callTool({ agentId, signal }, call)).rejects.toMatchObject({ code: 'token_refused', isRetryable: false });
});

test('tells a refused token from an issuer that is away, and from an agent that is halted', async () => {
  fake.script.tokenStatus = 400;
  await expect(clientOf().callTool({ agentId, signal }, call)).rejects.toMatchObject({ code: 'token_refused' });
  fake.script.tokenRefusal = { error: 'access_denied', error_description: 'halted' };
  await expect(clientOf().callTool({ agentId, signal }, call)).rejects.toMatchObject({ code: 'halted' });
  fake.script.tokenStatus = 503;
  await expect(clientOf().callTool({ agentId, signal }, call)).rejects.toMatchObject({ code: 'server_unavailable', isRetryable: true });
});

test('keeps code, decision and reason of a refusal', async () => {
  fake.script.onTool = () => ({ error: { code: 'argument_refused', message: 'not there' } });
  await expect(clientOf().callTool({ agentId, signal }, call)).rejects.toMatchObject({
    code: 'argument_refused',
    detail: 'not there',
    facts: { decisionId: 'decision-1' },
  });
  fake.script.onModel = () => ({ status: 429, error: { code: 'budget_exhausted', reason: 'limit_tokens' } });
  const chat = { model: 'm', messages: [], max_tokens: 1, stream: false as const };
  await expect(clientOf().complete({ agentId, signal }, chat, 'op')).rejects.toMatchObject({
    code: 'budget_exhausted',
    facts: { reason: 'limit_tokens' },
  });
});

test('hands an error of the server itself to the agent as a failed result', async () => {
  fake.script.onTool = () => ({ error: { code: 'EWHATEVER', message: 'disk on fire' } });
  expect(await clientOf().callTool({ agentId, signal }, call)).toEqual({ failed: true, text: 'disk on fire' });
});

test('says that the gateway is away, and that a model talks nonsense', async () => {
  fake.script.onModel = () => ({ result: { hello: 1 } });
  const chat = { model: 'm', messages: [], max_tokens: 1, stream: false as const };
  await expect(clientOf().complete({ agentId, signal }, chat, 'op')).rejects.toMatchObject({ code: 'model_unavailable' });
  fake.script.onModel = () => ({ status: 502, result: 'Bad Gateway' });
  await expect(clientOf().complete({ agentId, signal }, chat, 'op')).rejects.toMatchObject({ code: 'server_unavailable' });
  const gone = createGatewayClient({ gatewayUrl: 'http://127.0.0.1:1', tokens: { tokenFor: async () => 't', forget: () => undefined } });
  await expect(gone.callTool({ agentId, signal }, call)).rejects.toMatchObject({ code: 'server_unavailable', isRetryable: true });
});

test('ends the request when the caller leaves', async () => {
  const controller = new AbortController();
  fake.script.onTool = () => {
    queueMicrotask(() => controller.abort());
    return { hangs: true };
  };
  await expect(clientOf().callTool({ agentId, signal: controller.signal }, call)).rejects.toThrow();
  await expect.poll(() => fake.seen.aborted).toBe(1);
});

test('puts other content than text in words', async () => {
  const content = [
    { type: 'text', text: 'one' },
    { type: 'image', mimeType: 'image/png', data: 'x' },
    { type: 'resource', resource: { uri: 'a', text: 'two' } },
  ];
  fake.script.onTool = () => ({ result: { content } });
  expect(await clientOf().callTool({ agentId, signal }, call)).toEqual({ failed: false, text: 'one\n[image image/png left out]\ntwo' });
  fake.script.onTool = () => ({ result: { structuredContent: { a: 1 } } });
  expect(await clientOf().callTool({ agentId, signal }, call)).toEqual({ failed: false, text: '{"a":1}', structured: { a: 1 } });
  fake.script.onTool = () => ({ result: { resultType: 'input_required', inputRequests: {} } });
  expect(await clientOf().callTool({ agentId, signal }, call)).toMatchObject({ failed: true });
});
