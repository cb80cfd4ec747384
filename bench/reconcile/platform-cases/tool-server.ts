import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

export type BenchTool = { name: string; description: string; annotations?: object };

type ToolServerState = {
  tools: BenchTool[];
  /** So many calls of tools it answers within a second, and refuses the others (429); any number where absent. */
  mostPerSecond?: number;
  /** Whether a request at `/keyed` is of somebody it knows, by its header `authorization`; others are answered 401, and no more. */
  knows: (authorization: string | undefined) => boolean;
};

/** An MCP server of somebody else's, as little of 2025-06-18 as a gateway needs: its tools may be changed while it runs. */
export const startToolServer = async (tools: BenchTool[], port = 0) => {
  const state: ToolServerState = { tools, knows: () => true };
  const calls: string[] = [];
  /** Calls of tools that were refused because they were too many. */
  const counts = { throttled: 0 };
  let lately: number[] = [];
  const isTooOften = (): boolean => {
    const now = performance.now();
    lately = lately.filter((at) => now - at < 1000);
    if (state.mostPerSecond !== undefined && lately.length >= state.mostPerSecond) return true;
    lately.push(now);
    return false;
  };
  const answers: Record<string, (params: { name?: string }) => object> = {
    initialize: () => ({ protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 'bench', version: '1' } }),
    'tools/list': () => ({
      tools: state.tools.map((tool) => ({ annotations: { readOnlyHint: true }, ...tool, inputSchema: { type: 'object', properties: {} } })),
    }),
    'tools/call': ({ name = '' }) => {
      calls.push(name);
      return { content: [{ type: 'text', text: 'done' }] };
    },
    ping: () => ({}),
  };
  const server = createServer(async (request, response) => {
    const send = (body: object) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (request.url?.startsWith('/.well-known/')) return void response.writeHead(404).end();
    if (request.url === '/keyed' && !state.knows(request.headers.authorization)) return void response.writeHead(401).end();
    if (request.method !== 'POST') return void response.writeHead(405).end();
    const { id, method, params = {} } = (await json(request)) as { id?: unknown; method: string; params?: { name?: string } };
    if (id === undefined) return void response.writeHead(202).end();
    if (method === 'tools/call' && isTooOften()) {
      counts.throttled += 1;
      return void response.writeHead(429, { 'retry-after': '1' }).end();
    }
    const answer = answers[method];
    const body = answer ? { result: answer(params) } : { error: { code: -32_601, message: `no method ${method}` } };
    send({ jsonrpc: '2.0', id, ...body });
  }).listen(port, '127.0.0.1');
  await once(server, 'listening');
  const at = (server.address() as AddressInfo).port;
  const keyedUrl = `http://127.0.0.1:${at}/keyed`;
  return {
    /** Tools that were called and answered, in order. */
    calls: calls as readonly string[],
    ...{ state, counts: counts as Readonly<typeof counts>, port: at, url: `http://127.0.0.1:${at}/mcp` },
    /** The same behind a door that wants to know who comes. */
    keyedUrl,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
};
export type ToolServer = Awaited<ReturnType<typeof startToolServer>>;
