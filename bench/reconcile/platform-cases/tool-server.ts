import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

export type BenchTool = { name: string; description: string; annotations?: object };

/** An MCP server of somebody else's, as little of 2025-06-18 as a gateway needs: its tools may be changed while it runs. */
export const startToolServer = async (tools: BenchTool[], port = 0) => {
  const state = { tools };
  const calls: string[] = [];
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
    if (request.method !== 'POST') return void response.writeHead(405).end();
    const { id, method, params = {} } = (await json(request)) as { id?: unknown; method: string; params?: { name?: string } };
    if (id === undefined) return void response.writeHead(202).end();
    const answer = answers[method];
    const body = answer ? { result: answer(params) } : { error: { code: -32_601, message: `no method ${method}` } };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id, ...body }));
  }).listen(port, '127.0.0.1');
  await once(server, 'listening');
  const at = (server.address() as AddressInfo).port;
  return {
    /** Tools that were called, in order. */
    calls: calls as readonly string[],
    ...{ state, port: at, url: `http://127.0.0.1:${at}/mcp` },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
};
export type ToolServer = Awaited<ReturnType<typeof startToolServer>>;
