import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

export type BenchTool = { name: string; description: string };

type ToolServerState = {
  tools: BenchTool[];
  /** So many calls of tools it answers within a second, and refuses the others (429); any number where absent. */
  mostPerSecond?: number;
  /** The value of `authorization` without which it answers 401, and says no more; nobody is asked for one where absent. */
  wants?: string;
};

/** An MCP server of somebody else's, as little of 2025-06-18 as a gateway needs: its tools may be changed while it runs. */
export const startToolServer = async (tools: BenchTool[], port = 0) => {
  const state: ToolServerState = { tools };
  /** Calls of tools by how they were answered. */
  const counts = { answered: 0, throttled: 0, unknown: 0 };
  let lately: number[] = [];
  const isTooOften = (): boolean => {
    const now = performance.now();
    lately = lately.filter((at) => now - at < 1000);
    if (state.mostPerSecond !== undefined && lately.length >= state.mostPerSecond) return true;
    lately.push(now);
    return false;
  };
  const answers: Record<string, () => object> = {
    initialize: () => ({ protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 'bench', version: '1' } }),
    'tools/list': () => ({
      tools: state.tools.map((tool) => ({ ...tool, inputSchema: { type: 'object', properties: {} }, annotations: { readOnlyHint: true } })),
    }),
    'tools/call': () => ({ content: [{ type: 'text', text: 'done' }] }),
    ping: () => ({}),
  };
  const server = createServer(async (request, response) => {
    if (request.method !== 'POST') return void response.writeHead(405).end();
    const { id, method } = (await json(request)) as { id?: unknown; method: string };
    if (state.wants !== undefined && request.headers.authorization !== state.wants) {
      counts.unknown += 1;
      return void response.writeHead(401).end();
    }
    if (id === undefined) return void response.writeHead(202).end();
    if (method === 'tools/call') {
      if (isTooOften()) {
        counts.throttled += 1;
        return void response.writeHead(429, { 'retry-after': '1' }).end();
      }
      counts.answered += 1;
    }
    const answer = answers[method];
    const body = answer ? { result: answer() } : { error: { code: -32_601, message: `no method ${method}` } };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id, ...body }));
  }).listen(port, '127.0.0.1');
  await once(server, 'listening');
  const at = (server.address() as AddressInfo).port;
  return {
    ...{ state, counts, port: at, url: `http://127.0.0.1:${at}/mcp` },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
};
export type ToolServer = Awaited<ReturnType<typeof startToolServer>>;
