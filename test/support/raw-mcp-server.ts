import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export type RawMessage = { id?: number | string; method: string; params?: Record<string, unknown> };
type Http = { request: IncomingMessage; response: ServerResponse };
export type RawAnswer = (message: RawMessage, http: Http) => object | undefined | Promise<object | undefined>;

const inputSchema = { type: 'object' };
const ordinary: Record<string, RawAnswer> = {
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

/** What a server of 2026-07-28 says of itself. */
export const discovered = (changes: object = {}) => ({
  result: {
    resultType: 'complete',
    supportedVersions: ['2026-07-28'],
    capabilities: { tools: {} },
    ttlMs: 0,
    cacheScope: 'private',
    ...changes,
  },
});

const mebibyte = 1024 * 1024;

/** Answers a call with 200 MB of text, as far as it is read. `written` is how many MiB were handed over in the last answer. */
export const hugeAnswer = (contentType: string) => {
  const chunk = Buffer.alloc(mebibyte, 'x');
  const isJson = contentType === 'application/json';
  const state = { written: 0 };
  const parts = function* (id: unknown) {
    yield Buffer.from(`${isJson ? '' : 'data: '}{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"`);
    for (state.written = 0; state.written < 200; state.written += 1) yield chunk;
    yield Buffer.from(`"}]}}${isJson ? '' : '\n\n'}`);
  };
  const answer: RawAnswer = async ({ id }, { response }) => {
    response.writeHead(200, { 'content-type': contentType });
    await pipeline(Readable.from(parts(id)), response).catch(() => undefined);
    return undefined;
  };
  return { state, answer };
};

/** Answers as a stream of events, of which the last need not be the reply. */
export const writeEvents = (response: ServerResponse, ...messages: (object | string)[]): void => {
  if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const message of messages)
    response.write(typeof message === 'string' ? message : `data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
};

/**
 * An MCP server by hand, for what no library lets a server do: `answers` (by method) replace what an ordinary one says. An answer is the
 * rest of a JSON-RPC message, or nothing when the response was written by the answer itself. `tell` sends a notification to those who listen.
 * @param options.onGet - answers GET in place of a stream that stands open
 */
export const startRawMcpServer = async (
  answers: Record<string, RawAnswer> = {},
  { port = 0, onGet }: { port?: number; onGet?: (http: Http) => void } = {},
) => {
  const seen: (RawMessage & { headers: IncomingHttpHeaders })[] = [];
  const listeners = new Set<ServerResponse>();
  const http = createServer(async (request, response) => {
    if (request.method === 'GET') {
      if (onGet) return onGet({ request, response });
      listeners.add(response.writeHead(200, { 'content-type': 'text/event-stream' }));
      response.once('close', () => listeners.delete(response));
      response.flushHeaders();
      return;
    }
    if (request.method === 'DELETE') return void response.writeHead(204).end();
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const message = JSON.parse(Buffer.concat(chunks).toString('utf8')) as RawMessage;
    seen.push({ ...message, headers: request.headers });
    if (message.id === undefined || message.method === undefined) return void response.writeHead(202).end();
    const answer = answers[message.method] ?? ordinary[message.method] ?? (() => ({ error: { code: -32601, message: 'no such method' } }));
    const rest = await answer(message, { request, response });
    if (rest === undefined) return;
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id: message.id, ...rest }));
  }).listen(port, '127.0.0.1');
  await once(http, 'listening');
  const { port: taken } = http.address() as { port: number };
  return {
    url: `http://127.0.0.1:${taken}/mcp`,
    port: taken,
    http,
    answers,
    listeners,
    seen,
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
