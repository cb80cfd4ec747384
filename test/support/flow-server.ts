import { once } from 'node:events';
import { createServer } from 'node:http';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListToolsRequestSchema,
  ReadResourceRequestSchema,
  type Tool,
} from '@modelcontextprotocol/sdk/types.js';

export type FlowTool = { name: string; description?: string; readOnly: boolean; openWorld: boolean; arguments?: string[] };

const definition = ({ name, description = name, readOnly, openWorld, arguments: given = ['text'] }: FlowTool): Tool => ({
  name,
  description,
  inputSchema: { type: 'object', properties: Object.fromEntries(given.map((each) => [each, { type: 'string' }])) },
  annotations: { readOnlyHint: readOnly, openWorldHint: openWorld, destructiveHint: false },
});

/**
 * A server of tools, a prompt and a resource that gives out what the test says, and writes down everything that reaches it: each use, and
 * each byte of the wire.
 */
export const startFlowServer = async (tools: FlowTool[], prefix = 'note') => {
  const uses: { method: string; name: string; given: string }[] = [];
  const wire: string[] = [];
  const says = new Map<string, string | Error | ((given: Record<string, unknown>) => string)>();
  const listed = [{ uri: `${prefix}:///one`, name: 'one', description: 'the first' }];
  const text = (name: string, given: Record<string, unknown> = {}): string => {
    const saying = says.get(name) ?? `${name} says`;
    const said = typeof saying === 'function' ? saying(given) : saying;
    if (said instanceof Error) throw said;
    return said;
  };
  const seen = (method: string, name: string, given: unknown): void => void uses.push({ method, name, given: JSON.stringify(given ?? {}) });

  const makeServer = (): Server => {
    const server = new Server(
      { name: 'flow', version: '1.0.0' },
      { capabilities: { tools: {}, prompts: {}, resources: {}, completions: {} } },
    );
    server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: tools.map(definition) }));
    server.setRequestHandler(CallToolRequestSchema, ({ params }) => {
      seen('tools/call', params.name, params.arguments);
      return { content: [{ type: 'text', text: text(params.name, params.arguments) }] };
    });
    server.setRequestHandler(ListPromptsRequestSchema, () => ({ prompts: [{ name: `${prefix}_ask`, arguments: [{ name: 'text' }] }] }));
    server.setRequestHandler(GetPromptRequestSchema, ({ params }) => {
      seen('prompts/get', params.name, params.arguments);
      return { messages: [{ role: 'user' as const, content: { type: 'text' as const, text: text('ask', params.arguments) } }] };
    });
    server.setRequestHandler(CompleteRequestSchema, ({ params }) => {
      seen('completion/complete', 'ask', params.argument);
      return { completion: { values: ['x'] } };
    });
    server.setRequestHandler(ListResourcesRequestSchema, () => ({ resources: listed }));
    server.setRequestHandler(ReadResourceRequestSchema, ({ params }) => {
      seen('resources/read', params.uri, {});
      return { contents: [{ uri: params.uri, text: text('resource', { uri: params.uri }) }] };
    });
    return server;
  };

  const http = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    wire.push(`${request.method} ${request.url} ${JSON.stringify(request.headers)}\n${body}`);
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
    const server = makeServer();
    response.once('close', () => void server.close());
    await server.connect(transport);
    await transport.handleRequest(request, response, body === '' ? undefined : JSON.parse(body));
  }).listen(0, '127.0.0.1');
  await once(http, 'listening');

  return {
    url: `http://127.0.0.1:${(http.address() as { port: number }).port}/mcp`,
    uses,
    wire,
    says,
    /** Resources as it lists them. */
    listed,
    countOf: (name: string): number => uses.filter((use) => use.name === name).length,
    close: async (): Promise<void> => {
      http.close();
      http.closeAllConnections();
    },
  };
};
export type FlowServer = Awaited<ReturnType<typeof startFlowServer>>;
