import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { type EventStore, StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js';
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  ResultSchema,
  SetLevelRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { listedPrompts, listedResources, listedTemplates, readFixture, renderPrompt } from './fixture-resources.ts';
import { fixtureTools, listedTools, type ToolIo } from './fixture-tools.ts';

type Json = Record<string, unknown>;
type Extra = RequestHandlerExtra<never, never>;

/** Keeps the events of one session, so that its streams can be taken up again. */
const createEventStore = (): EventStore => {
  const events: { id: string; stream: string; message: unknown }[] = [];
  return {
    storeEvent: async (stream, message) => {
      const id = `${stream}_${events.length}`;
      events.push({ id, stream, message });
      return id;
    },
    replayEventsAfter: async (lastId, { send }) => {
      const index = events.findIndex(({ id }) => id === lastId);
      const stream = events[index]?.stream ?? '';
      for (const event of events.slice(index + 1))
        if (event.stream === stream && Object.keys(event.message as Json).length > 0) await send(event.id, event.message as never);
      return stream;
    },
  };
};

/**
 * The fixture as a server of 2025-11-25 with sessions, on the v1 SDK: what a tool asks goes to the client in the middle of the call.
 * Nothing in it is about gateways.
 */
export const startLegacyFixture = async (): Promise<{ url: string; sessions: ReadonlyMap<string, unknown>; close(): Promise<void> }> => {
  const isOn = { tools: true, prompts: true };
  const sessions = new Map<string, { transport: StreamableHTTPServerTransport; server: Server }>();

  const ioOf = (server: Server, extra: Extra): ToolIo => {
    const progressToken = extra._meta?.progressToken;
    const notify = extra.sendNotification as (notification: unknown) => Promise<void>;
    const request = extra.sendRequest as (question: unknown, schema: typeof ResultSchema) => Promise<Json>;
    return {
      progressToken,
      signal: extra.signal,
      // the revision's tasks are another thing: whoever asks for the job here gets it
      can: (capability) => capability === 'tasks' || (server.getClientCapabilities() as Json | undefined)?.[capability] !== undefined,
      missing: (capability) => {
        throw new McpError(-32602, `The client has not declared ${capability}`);
      },
      progress: async (progress, total, message) => {
        if (progressToken === undefined) return;
        await notify({ method: 'notifications/progress', params: { progressToken, progress, total, message } });
      },
      log: (data) => notify({ method: 'notifications/message', params: { level: 'info', data } }),
      ask: async (questions) =>
        Object.fromEntries(
          await Promise.all(Object.entries(questions).map(async ([name, question]) => [name, await request(question, ResultSchema)])),
        ),
      ...(extra.closeSSEStream ? { closeStream: extra.closeSSEStream } : {}),
      toggle: (kind) => {
        isOn[kind] = !isOn[kind];
        for (const session of sessions.values())
          void (kind === 'tools' ? session.server.sendToolListChanged() : session.server.sendPromptListChanged()).catch(() => undefined);
      },
    };
  };

  const createFixture = (): Server => {
    const server = new Server(
      { name: 'legacy-fixture', version: '1.0.0' },
      {
        capabilities: {
          tools: { listChanged: true },
          prompts: { listChanged: true },
          resources: { listChanged: true, subscribe: true },
          completions: {},
          logging: {},
        },
      },
    );
    server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: listedTools(isOn.tools) }) as never);
    server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
      const tool = fixtureTools.get(params.name);
      if (!tool) throw new McpError(-32602, `Unknown tool: ${params.name}`);
      return (await tool.run(params.arguments ?? {}, ioOf(server, extra as unknown as Extra))) as never;
    });
    server.setRequestHandler(ListPromptsRequestSchema, () => ({ prompts: listedPrompts(isOn.prompts) }) as never);
    server.setRequestHandler(GetPromptRequestSchema, async ({ params }, extra) => {
      const prompt = await renderPrompt(params.name, params.arguments ?? {}, ioOf(server, extra as unknown as Extra));
      if (!prompt) throw new McpError(-32602, `Unknown prompt: ${params.name}`);
      return prompt as never;
    });
    server.setRequestHandler(ListResourcesRequestSchema, () => ({ resources: listedResources }) as never);
    server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({ resourceTemplates: listedTemplates }) as never);
    server.setRequestHandler(ReadResourceRequestSchema, ({ params }) => {
      const contents = readFixture(params.uri);
      if (!contents) throw new McpError(-32002, `Resource not found: ${params.uri}`, { uri: params.uri });
      return contents as never;
    });
    server.setRequestHandler(SubscribeRequestSchema, () => ({}));
    server.setRequestHandler(UnsubscribeRequestSchema, () => ({}));
    server.setRequestHandler(SetLevelRequestSchema, () => ({}));
    server.setRequestHandler(CompleteRequestSchema, () => ({ completion: { values: [], total: 0, hasMore: false } }));
    return server;
  };

  const open = async (): Promise<StreamableHTTPServerTransport> => {
    const server = createFixture();
    const transport: StreamableHTTPServerTransport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      eventStore: createEventStore(),
      retryInterval: 200,
      onsessioninitialized: (id) => void sessions.set(id, { transport, server }),
      onsessionclosed: (id) => void sessions.delete(id),
    });
    await server.connect(transport as never);
    return transport;
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const id = request.headers['mcp-session-id'];
    const known = typeof id === 'string' ? sessions.get(id)?.transport : undefined;
    if (id !== undefined && known === undefined) {
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32001, message: 'Session not found' } }));
      return;
    }
    await (known ?? (await open())).handleRequest(request, response);
  };
  const listener = createServer((request, response) => void handle(request, response).catch(() => response.destroy())).listen(
    0,
    '127.0.0.1',
  );
  await once(listener, 'listening');
  return {
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}/mcp`,
    sessions,
    close: async () => {
      listener.closeAllConnections();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
};
