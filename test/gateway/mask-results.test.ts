import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AuditQuerySchema } from '../../schema/audit-event.ts';
import { pollUntil } from '../support/poll-until.ts';
import { startRawMcpServer, writeEvents } from '../support/raw-mcp-server.ts';
import { beginStream, chunkEvent, doneEvent, type RawProvider, sendJson, startRawProvider, wholeAnswer } from '../support/raw-provider.ts';
import { adminToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';
import { type RunningModels, startRunningModels } from '../support/running-models.ts';

const leak = 'write to ada@example.com, pay with 4111 1111 1111 1111, log in with sk-proj-0123456789abcdefXYZ';
const personalMasked = 'write to [masked:email], pay with [masked:card], log in with sk-proj-0123456789abcdefXYZ';
const allMasked = 'write to [masked:email], pay with [masked:card], log in with [masked:secret]';

describe('what an MCP server answers', () => {
  let gateway: RunningGateway;
  let server: Awaited<ReturnType<typeof startRawMcpServer>>;

  beforeAll(async () => {
    gateway = await startRunningGateway();
    server = await startRawMcpServer({
      initialize: () => ({
        result: {
          protocolVersion: '2025-06-18',
          capabilities: { tools: {}, prompts: {}, resources: {} },
          serverInfo: { name: 'raw', version: '1' },
        },
      }),
      'tools/list': () => ({
        result: { tools: ['json', 'events', 'error'].map((name) => ({ name, inputSchema: { type: 'object' } })) },
      }),
      'prompts/list': () => ({ result: { prompts: [{ name: 'letter' }] } }),
      'prompts/get': () => ({ result: { messages: [{ role: 'user', content: { type: 'text', text: leak } }] } }),
      'resources/list': () => ({ result: { resources: [{ uri: 'note://1', name: 'note' }] } }),
      'resources/templates/list': () => ({ result: { resourceTemplates: [] } }),
      'resources/read': () => ({ result: { contents: [{ uri: 'note://1', text: leak }] } }),
      'tools/call': ({ id, params }, { response }) => {
        const result = { content: [{ type: 'text', text: leak }], structuredContent: { 'ada@example.com': { card: 4111111111111111 } } };
        if (params?.name === 'json') return { result };
        if (params?.name === 'error') return { error: { code: -32000, message: leak, data: { who: 'ada@example.com' } } };
        const progress = { method: 'notifications/progress', params: { progressToken: tokenOf(params), progress: 1, message: leak } };
        writeEvents(response, progress, { id, result });
        response.end();
        return undefined;
      },
    });
    await gateway.apply(
      { kind: 'McpServer', metadata: { name: 'plain' }, spec: { url: server.url } },
      { kind: 'McpServer', metadata: { name: 'strict' }, spec: { url: server.url, filter: { mask: ['personal'] } } },
      { kind: 'Toolset', metadata: { name: 'off' }, spec: { servers: [{ name: 'plain' }], naming: 'plain' } },
      { kind: 'Toolset', metadata: { name: 'by-server' }, spec: { servers: [{ name: 'strict' }], naming: 'plain' } },
      {
        kind: 'Toolset',
        metadata: { name: 'by-both' },
        spec: { servers: [{ name: 'strict' }], naming: 'plain', filter: { mask: ['secrets'] } },
      },
    );
    for (const name of ['off', 'by-server', 'by-both']) await gateway.ready(name);
  });
  afterAll(async () => {
    await gateway.close();
    await server.close();
  });

  const tokenOf = (params: Record<string, unknown> | undefined): unknown => (params?._meta as { progressToken?: unknown })?.progressToken;

  const ask = async (toolset: string, method: string, params: Record<string, unknown>): Promise<string> => {
    const answer = await fetch(`${gateway.publicUrl}/mcp/${toolset}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    });
    return answer.text();
  };
  const call = (toolset: string, name: string): Promise<string> =>
    ask(toolset, 'tools/call', { name, arguments: {}, _meta: { progressToken: 'p' } });

  test('is passed on as it is where nobody asked for a filter', async () => {
    const answer = await call('off', 'json');
    expect(answer).toContain(leak);
    expect(answer).toContain('4111111111111111');
    const row = await gateway.auditRow((event) => event.toolset === 'off' && event.action === 'callTool' && event.kind !== 'intent');
    expect(row.facts).not.toHaveProperty('masked');
  });

  test('is masked as its server says, and as the toolset says beside that; the audit says how much', async () => {
    expect(await call('by-server', 'json')).toContain(personalMasked);
    const answer = await call('by-both', 'json');
    expect(answer).toContain(allMasked);
    expect(answer).toContain('{"[masked:email]":{"card":"[masked:card]"}}');
    expect(answer).not.toMatch(/ada@|4111|sk-proj/);
    const row = await gateway.auditRow((event) => event.toolset === 'by-both' && event.action === 'callTool' && event.kind !== 'intent');
    expect(row.facts.masked).toEqual({ card: 2, email: 2, secret: 1 });
    expect(JSON.stringify(row)).not.toMatch(/ada@|4111|sk-proj/);
  });

  test('is masked in a stream of events too, and in what is said on the way', async () => {
    const answer = await call('by-both', 'events');
    expect(answer).toContain('notifications/progress');
    expect(answer.split(allMasked)).toHaveLength(3);
    expect(answer).not.toMatch(/ada@|4111|sk-proj/);
  });

  test.each([
    ['an error', 'tools/call', { name: 'error', arguments: {} }],
    ['a prompt', 'prompts/get', { name: 'letter' }],
    ['a resource', 'resources/read', { uri: 'note://1' }],
  ])('is masked in %s', async (_what, method, params) => {
    const answer = await ask('by-both', method, params);
    expect(answer).toContain(allMasked);
    expect(answer).not.toMatch(/ada@|4111|sk-proj/);
  });

  test('is kept as it was masked: whoever asks again what became of an operation gets no more', async () => {
    const named = () =>
      ask('by-both', 'tools/call', { name: 'json', arguments: {}, _meta: { 'quarterdeck.dev/operation-id': 'op-masked-1' } });
    expect(await named()).toContain(allMasked);
    expect(await named()).toContain(allMasked);
  });
});

describe('what a model answers', () => {
  let models: RunningModels;
  let provider: RawProvider;

  beforeAll(async () => {
    provider = await startRawProvider();
    models = await startRunningModels();
    await models.apply(
      { kind: 'Provider', metadata: { name: 'acme' }, spec: { kind: 'openai-compatible', baseUrl: provider.url } },
      { kind: 'Model', metadata: { name: 'plain' }, spec: { routes: [{ provider: 'acme', model: 'x' }] } },
      {
        kind: 'Model',
        metadata: { name: 'masked' },
        spec: { routes: [{ provider: 'acme', model: 'x' }], filter: { mask: ['secrets', 'personal'] } },
      },
    );
  });
  afterAll(async () => {
    await models.close();
    await provider.close();
  });

  const ask = async (model: string, stream: boolean): Promise<string> => {
    const answer = await fetch(`${models.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }], stream }),
    });
    return answer.text();
  };
  type Chunk = {
    choices: {
      index: number;
      delta: { content?: string; tool_calls?: { index: number; function: { arguments?: string } }[] };
      finish_reason: string | null;
    }[];
  };
  const chunksOf = (text: string): Chunk[] => [...text.matchAll(/^data: (\{.*)$/gm)].map(([, data]) => JSON.parse(data ?? ''));
  const contentOf = (text: string): string =>
    chunksOf(text)
      .flatMap(({ choices }) => choices.map(({ delta }) => delta.content ?? ''))
      .join('');

  test('in one piece is masked, its probabilities left out, and the audit says how much', async () => {
    provider.handle = (response) =>
      sendJson(
        response,
        200,
        wholeAnswer(leak).replace('"finish_reason"', '"logprobs":{"content":[{"token":"ada@example.com"}]},"finish_reason"'),
      );
    expect(await ask('plain', false)).toContain(leak);
    const answer = await ask('masked', false);
    expect(JSON.parse(answer).choices).toMatchObject([{ message: { content: allMasked }, logprobs: null }]);
    const row = await pollUntil(
      async () => (await models.audit(AuditQuerySchema.parse({}))).find((event) => event.model === 'masked'),
      'the row',
    );
    expect(row.facts.masked).toEqual({ card: 1, email: 1, secret: 1 });
  });

  test.each([1, 3, 7, 1000])('as a stream of pieces of %i characters is masked across their bounds, and comes to its end', async (size) => {
    const pieces = leak.match(new RegExp(`.{1,${size}}`, 'g')) ?? [];
    provider.handle = (response) => {
      beginStream(response).write(chunkEvent({ role: 'assistant', content: '' }));
      for (const piece of pieces) response.write(chunkEvent({ content: piece }));
      response.write(
        chunkEvent({ tool_calls: [{ index: 0, id: 'c', type: 'function', function: { name: 'send', arguments: '{"to":"ada@exam' } }] }),
      );
      response.write(chunkEvent({ tool_calls: [{ index: 0, function: { arguments: 'ple.com"}' } }] }));
      response.write(chunkEvent({}, 'tool_calls'));
      response.end(doneEvent);
    };
    expect(contentOf(await ask('plain', true))).toBe(leak);
    const answer = await ask('masked', true);
    expect(contentOf(answer)).toBe(allMasked);
    const given = chunksOf(answer).flatMap(({ choices }) =>
      choices.flatMap(({ delta }) => delta.tool_calls?.map((part) => part.function.arguments ?? '') ?? []),
    );
    expect(JSON.parse(given.join(''))).toEqual({ to: '[masked:email]' });
    expect(chunksOf(answer).at(-1)?.choices[0]?.finish_reason).toBe('tool_calls');
    expect(answer.trimEnd().endsWith('data: [DONE]')).toBe(true);
  });

  test('as a stream that breaks off tells nothing of what was held back', async () => {
    provider.handle = (response) => {
      beginStream(response).write(chunkEvent({ content: 'to ada@exam' }));
      setImmediate(() => response.destroy());
    };
    expect(await ask('masked', true)).not.toContain('ada@');
  });
});
