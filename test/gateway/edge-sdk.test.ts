import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterEach, describe, expect, test } from 'vitest';
import type { ClientRequest } from '../../gateway/mcp/client-request.ts';
import type { Reply } from '../../gateway/mcp/message.ts';
import { pollUntil } from '../support/poll-until.ts';
import { edgeToken, type RunningEdge, startRunningEdge, unknownMethod } from '../support/running-edge.ts';

let edge: RunningEdge;
let client: Client;
afterEach(async () => {
  await client.close();
  await edge.close();
});

const inputSchema = { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } } };

/** A small surface: what a server behind the gateway would offer. */
const handle = async ({ method, params, notify, signal, client: asking }: ClientRequest): Promise<Reply> => {
  if (method === 'tools/list')
    return { kind: 'result', result: { tools: [{ name: 'größe', inputSchema }], ttlMs: 0, cacheScope: 'private' } };
  if (method !== 'tools/call') return unknownMethod(method);
  if ((params.arguments as { region?: string } | undefined)?.region === 'slow')
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
  const { progressToken } = (params._meta ?? {}) as { progressToken?: number };
  if (progressToken !== undefined)
    for (const progress of [1, 2]) await notify({ method: 'notifications/progress', params: { progressToken, progress, total: 2 } });
  return { kind: 'result', result: { content: [{ type: 'text', text: `${asking.info?.name} ${asking.protocolVersion}` }] } };
};

const connectClient = async (): Promise<void> => {
  edge = await startRunningEdge({ handle });
  client = new Client({ name: 'v2', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  const requestInit = { headers: { authorization: `Bearer ${edgeToken}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(edge.url), { requestInit }));
};

describe('the v2 SDK client', () => {
  test('finds a modern server that also has older versions, and stays modern', async () => {
    await connectClient();
    expect(edge.toLegacy).toEqual([]);
    expect(client.getServerVersion()).toMatchObject({ name: 'edge-test' });
    expect(client.getInstructions()).toBe('Ask.');
  });

  test('lists and calls a tool whose name and argument stand in its headers', async () => {
    await connectClient();
    expect((await client.listTools()).tools).toMatchObject([{ name: 'größe' }]);
    const result = await client.callTool({ name: 'größe', arguments: { region: 'köln' } });
    expect(result.content).toEqual([{ type: 'text', text: 'v2 2026-07-28' }]);
    expect(edge.requests.at(-1)?.parameterHeaders).toEqual({
      'mcp-param-region': `=?base64?${Buffer.from('köln').toString('base64')}?=`,
    });
  });

  test('hears of progress', async () => {
    await connectClient();
    const heard: number[] = [];
    await client.callTool({ name: 'größe', arguments: {} }, { onprogress: ({ progress }) => heard.push(progress) });
    expect(heard).toEqual([1, 2]);
  });

  test('takes a call back by leaving it', async () => {
    await connectClient();
    const leaving = new AbortController();
    const call = client.callTool({ name: 'größe', arguments: { region: 'slow' } }, { signal: leaving.signal });
    const request = await pollUntil(() => edge.requests.find(({ method }) => method === 'tools/call'), 'the call');
    leaving.abort();
    await expect(call).rejects.toThrow();
    await pollUntil(() => request.signal.aborted || undefined, 'the end of the call');
  });

  test('is told of a method that is not there by the status that the specification asks for', async () => {
    await connectClient();
    await expect(client.request({ method: 'prompts/list', params: {} })).rejects.toMatchObject({ status: 404 });
  });
});
