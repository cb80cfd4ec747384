import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

type Message = { id?: number | string; method: string; params?: Record<string, unknown> };
type Answer = (
  message: Message,
  http: { request: IncomingMessage; response: ServerResponse },
) => object | undefined | Promise<object | undefined>;

const inputSchema = { type: 'object' };
const ordinary: Record<string, Answer> = {
  initialize: () => ({
    result: {
      protocolVersion: '2025-06-18',
      capabilities: { tools: { listChanged: true } },
      serverInfo: { name: 'raw', version: '1' },
    },
  }),
  'tools/list': () => ({ result: { tools: [{ name: 'act', inputSchema }] } }),
  'tools/call': () => ({ result: { content: [{ type: 'text', text: 'done' }] } }),
};

/**
 * An MCP server by hand, for what no library lets a server do: `answers` (by method) replace what an ordinary one says. An answer is the
 * rest of a JSON-RPC message, or nothing when the response was written by the answer itself. `tell` sends a notification to those who listen.
 */
export const startRawMcpServer = async (answers: Record<string, Answer> = {}) => {
  const seen: Message[] = [];
  const listeners = new Set<ServerResponse>();
  const http = createServer(async (request, response) => {
    if (request.method === 'GET') {
      listeners.add(response.writeHead(200, { 'content-type': 'text/event-stream' }));
      response.flushHeaders();
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const message = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Message;
    seen.push(message);
    if (message.id === undefined) return void response.writeHead(202).end();
    const answer = answers[message.method] ?? ordinary[message.method] ?? (() => ({ error: { code: -32601, message: 'no such method' } }));
    const rest = await answer(message, { request, response });
    if (rest === undefined) return;
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id: message.id, ...rest }));
  }).listen(0, '127.0.0.1');
  await once(http, 'listening');
  return {
    url: `http://127.0.0.1:${(http.address() as { port: number }).port}/mcp`,
    answers,
    listeners,
    countOf: (method: string) => seen.filter((message) => message.method === method).length,
    tell: (method: string) => {
      for (const listener of listeners) listener.write(`data: ${JSON.stringify({ jsonrpc: '2.0', method })}\n\n`);
    },
    close: async () => {
      http.close();
      http.closeAllConnections();
    },
  };
};
export type RawMcpServer = Awaited<ReturnType<typeof startRawMcpServer>>;
