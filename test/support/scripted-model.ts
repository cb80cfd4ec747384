import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { completionChunks, completionOf, type ScriptedCompletion } from './scripted-completion.ts';

/** One request to `POST /v1/chat/completions`, as it came. */
export type ScriptedRequest = {
  headers: IncomingMessage['headers'];
  // biome-ignore lint/suspicious/noExplicitAny: tests look at whatever a client sent
  body: any;
  /** Settles when the caller leaves before it has its answer. */
  left: Promise<void>;
};

/**
 * What the model does. A completion may be good, prose instead of JSON, cut JSON (`finishReason: 'length'`), or a call of a tool that does
 * not exist; the other kinds are faults of a provider.
 * `after`: nothing is sent before this settles.
 */
export type ScriptedAnswer =
  | string
  | (ScriptedCompletion & { after?: Promise<unknown> })
  /** An answer of the provider that is none; `body` replaces the usual error object. */
  | { status: number; code?: string; message?: string; headers?: Record<string, string>; body?: string; after?: Promise<unknown> }
  /** Never answers: with `sent` pieces of a stream before it falls silent. */
  | { fault: 'hang'; sent?: string[] }
  /** Resets the connection: with `sent` pieces of a stream, or a part of the body, before it. */
  | { fault: 'reset'; sent?: string[] };

export type ScriptedModelOptions = {
  /** @param callNumber - 1 for the first request */
  answer: (request: ScriptedRequest, callNumber: number) => ScriptedAnswer | Promise<ScriptedAnswer>;
  /** 0 takes any. */
  port?: number;
  /** The bearer token to insist on. */
  key?: string;
  /** Names that `GET /v1/models` lists. */
  models?: string[];
};

export type ScriptedModel = {
  /** The base address for clients, with `/v1`. */
  url: string;
  port: number;
  requests: ScriptedRequest[];
  close(): Promise<void>;
};

/** Starts an OpenAI-compatible server on loopback whose answers a function gives. */
export const startScriptedModel = async ({
  answer,
  port = 0,
  key,
  models = ['scripted'],
}: ScriptedModelOptions): Promise<ScriptedModel> => {
  const requests: ScriptedRequest[] = [];
  const server = createServer(async (request, response) => {
    try {
      if (key !== undefined && request.headers.authorization !== `Bearer ${key}`)
        return sendError(response, { status: 401, code: 'invalid_api_key', message: 'Incorrect API key provided.' });
      if (request.url === '/v1/models')
        return sendJson(response, 200, { object: 'list', data: models.map((id) => ({ id, object: 'model' })) });
      if (request.method !== 'POST' || request.url !== '/v1/chat/completions')
        return sendError(response, { status: 404, code: 'not_found' });
      const left = new Promise<void>((resolve) => response.once('close', () => response.writableFinished || resolve()));
      const scripted: ScriptedRequest = { headers: request.headers, body: await json(request), left };
      requests.push(scripted);
      await perform(response, scripted.body, await answer(scripted, requests.length));
    } catch (error) {
      // A test's own mistake in `answer` must not look like a silent provider.
      if (!response.headersSent) sendError(response, { status: 500, code: 'script_failed', message: String(error) });
      else response.destroy();
    }
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const address = server.address() as AddressInfo;
  const close = (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    return closed;
  };
  return { url: `http://127.0.0.1:${address.port}/v1`, port: address.port, requests, close };
};

const perform = async (response: ServerResponse, body: ScriptedRequest['body'], answer: ScriptedAnswer): Promise<void> => {
  if (typeof answer === 'string') return perform(response, body, { text: answer });
  if ('fault' in answer) return performFault(response, body, answer);
  await answer.after;
  if (response.destroyed) return;
  if ('status' in answer) return sendError(response, answer);
  if (!body.stream) return sendJson(response, 200, completionOf(body, answer));
  for (const chunk of completionChunks(body, answer)) sendEvent(response, chunk);
  response.end('data: [DONE]\n\n');
};

const performFault = (
  response: ServerResponse,
  body: ScriptedRequest['body'],
  { fault, sent = [] }: { fault: string; sent?: string[] },
): void => {
  const written = body.stream ? completionChunks(body, { chunks: sent }).slice(0, sent.length + 1) : [];
  for (const chunk of sent.length > 0 ? written : []) sendEvent(response, chunk);
  if (!body.stream && sent.length > 0) response.writeHead(200, { 'content-type': 'application/json' }).write(sent.join(''));
  if (fault === 'hang') return;
  const { socket } = response;
  // The bytes written so far are on their way once the next turn of the loop comes; then the connection breaks instead of ending.
  if (sent.length === 0) socket?.resetAndDestroy();
  else response.write('', () => setImmediate(() => socket?.resetAndDestroy()));
};

const sendEvent = (response: ServerResponse, chunk: object): void => {
  if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  response.write(`data: ${JSON.stringify(chunk)}\n\n`);
};

const sendJson = (response: ServerResponse, status: number, value: unknown, headers: Record<string, string> = {}): void => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
};

const sendError = (
  response: ServerResponse,
  { status, code = 'scripted_error', message = 'A scripted error.', headers, body }: Extract<ScriptedAnswer, { status: number }>,
): void => {
  if (body !== undefined) response.writeHead(status, headers).end(body);
  else
    sendJson(
      response,
      status,
      { error: { message, type: status < 500 ? 'invalid_request_error' : 'server_error', param: null, code } },
      headers,
    );
};
