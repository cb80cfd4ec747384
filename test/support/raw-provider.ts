import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export type RawRequest = { url: string; headers: IncomingMessage['headers']; body: string };
export type RawHandler = (response: ServerResponse, request: RawRequest) => void | Promise<void>;

/** A provider that is told byte by byte what to send. `handle` is replaced by each test; `requests` holds what came. */
export const startRawProvider = async () => {
  const requests: RawRequest[] = [];
  const provider = {
    url: '',
    requests,
    handle: ((response) => void response.writeHead(500).end()) as RawHandler,
    close: async (): Promise<void> => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  const server = createServer(async (request, response) => {
    const received: RawRequest = { url: request.url ?? '', headers: request.headers, body: await text(request) };
    requests.push(received);
    await provider.handle(response, received);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  provider.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  return provider;
};
export type RawProvider = Awaited<ReturnType<typeof startRawProvider>>;

/** Answers with a completion whose bytes are known. */
export const wholeAnswer = (
  content = 'ok',
  usage: object | undefined = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
): string =>
  JSON.stringify({
    id: 'c1',
    object: 'chat.completion',
    model: 'their-name',
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
    usage,
  });

export const sendJson = (response: ServerResponse, status: number, body: string, headers: Record<string, string> = {}): void =>
  void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);

export const beginStream = (response: ServerResponse): ServerResponse => response.writeHead(200, { 'content-type': 'text/event-stream' });

export const chunkEvent = (delta: object, finishReason: string | null = null): string =>
  `data: ${JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finishReason }] })}\n\n`;
export const usageEvent = (promptTokens: number, completionTokens: number): string =>
  `data: ${JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', choices: [], usage: { prompt_tokens: promptTokens, completion_tokens: completionTokens, total_tokens: promptTokens + completionTokens } })}\n\n`;
export const doneEvent = 'data: [DONE]\n\n';
