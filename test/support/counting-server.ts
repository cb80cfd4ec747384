import { once } from 'node:events';
import { createServer } from 'node:http';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { CallToolRequestSchema, ListToolsRequestSchema, type Tool } from '@modelcontextprotocol/sdk/types.js';

const objectSchema = { type: 'object' as const, properties: { path: { type: 'string' }, value: { type: 'string' } } };

/** The tools that the server offers at first: one that only reads, one that may have an effect. */
export const countingTools: Tool[] = [
  { name: 'look', description: 'Looks', inputSchema: objectSchema, annotations: { readOnlyHint: true } },
  { name: 'act', description: 'Acts', inputSchema: objectSchema, annotations: { readOnlyHint: false } },
  { name: 'fail', description: 'Fails', inputSchema: objectSchema, annotations: { readOnlyHint: true } },
];

/**
 * An MCP server on the independent v1 SDK that numbers every call and ignores operation ids. `before` runs when a call has
 * been counted and may hold it; `tools` may be changed, and what its results end with (`says`); `headersSeen` are of every HTTP request.
 */
export const startCountingServer = async (port = 0) => {
  const calls: { tool: string; arguments: Record<string, unknown>; aborted: boolean }[] = [];
  const headersSeen: Record<string, unknown>[] = [];
  const state: { tools: Tool[]; before: (tool: string) => Promise<void>; says: string } = {
    tools: [...countingTools],
    before: async () => undefined,
    says: '',
  };

  const makeServer = (): Server => {
    const server = new Server({ name: 'counting', version: '1.0.0' }, { capabilities: { tools: {} } });
    server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: state.tools }));
    server.setRequestHandler(CallToolRequestSchema, async ({ params }, { signal }) => {
      const call = { tool: params.name, arguments: params.arguments ?? {}, aborted: false };
      calls.push(call);
      const number = calls.length;
      signal.addEventListener('abort', () => {
        call.aborted = true;
      });
      await state.before(params.name);
      if (params.name === 'fail') return { content: [{ type: 'text', text: 'no' }], isError: true };
      return { content: [{ type: 'text', text: `call ${number} of ${params.name}${state.says}` }] };
    });
    return server;
  };

  const http = createServer(async (request, response) => {
    headersSeen.push({ ...request.headers });
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
    const server = makeServer();
    response.once('close', () => void server.close());
    await server.connect(transport);
    await transport.handleRequest(request, response);
  }).listen(port, '127.0.0.1');
  await once(http, 'listening');
  const address = http.address() as { port: number };

  return {
    url: `http://127.0.0.1:${address.port}/mcp`,
    port: address.port,
    calls,
    headersSeen,
    state,
    countOf: (tool: string) => calls.filter((call) => call.tool === tool).length,
    /** Breaks every open connection, as a killed server does. */
    reset: () => http.closeAllConnections(),
    close: async () => {
      http.close();
      http.closeAllConnections();
    },
  };
};
