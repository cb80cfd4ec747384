import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import { PlatformError } from '../../schema/errors.ts';
import { createLogger, type Logger } from '../../telemetry/logger.ts';
import { createAdmission } from '../host/admit-request.ts';
import { readJson, sendJson } from '../host/http-messages.ts';
import { chatCompletion, createChatStream, endChatStream } from './chat-answer.ts';
import { type ChatRequest, createChatRequestReader } from './chat-request.ts';
import type { ModelEngine } from './generation.ts';
import { createLazyEngine } from './lazy-engine.ts';
import { isLocalModelInstalled, localModelName, localModelPaths } from './model-release.ts';
import { errorBody, OpenAiError, toOpenAiError } from './openai-error.ts';
import { startModelProcess } from './start-model-process.ts';

export type LocalModelConfig = {
  /** On 127.0.0.1; 0 takes any. */
  port: number;
  /** The internal key that requests bring as a bearer token. */
  key: string;
  /** Where `installLocalModel` keeps things. */
  cacheDirectory: string;
  /** How much prompt and answer may have together; 4096 unless said otherwise, 8192 is the most the model was trained on. */
  contextTokens?: number;
};

/** Collaborators that a test replaces. */
export type LocalModelParts = { logger: Logger; engine: ModelEngine; isInstalled: () => Promise<boolean> };

/**
 * Starts the server of the tiny language model: an OpenAI-compatible API on 127.0.0.1, for the gateway alone.
 *
 * `POST /v1/chat/completions`, in one piece or streamed, in JSON by `response_format: json_schema` if asked; `GET /v1/models`; and without
 * the key `GET /healthz` → `{status, installed, loaded}`. The model is loaded at the first request and let go after five minutes without
 * one. One answer is generated at a time; a caller who leaves ends theirs. Errors have the dialect's form: 503 `model_unavailable`
 * while the model is not installed, 400 `context_length_exceeded`, `unsupported_schema` or `unsupported_parameter`, 429 when 32 wait.
 * @param parts - collaborators a test replaces
 * @throws {PlatformError} `port_taken`
 */
export const startLocalModel = async (
  config: LocalModelConfig,
  parts: Partial<LocalModelParts> = {},
): Promise<{ port: number; close(): Promise<void> }> => {
  const { modelPath, packageDirectory } = localModelPaths(config.cacheDirectory);
  const contextTokens = config.contextTokens ?? 4096;
  const logger = parts.logger ?? createLogger({ name: 'local-model' });
  const isInstalled = parts.isInstalled ?? (() => isLocalModelInstalled(config.cacheDirectory));
  const engine = parts.engine ?? createLazyEngine({ load: () => startModelProcess({ packageDirectory, modelPath, contextTokens }) });
  const readChatRequest = createChatRequestReader();
  const startedAt = Math.floor(Date.now() / 1000);

  const route = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method, url = '/' } = request;
    const path = url.split('?', 1)[0];
    if (method === 'GET' && path === '/healthz')
      return sendJson(response, 200, { status: 'ok', installed: await isInstalled(), loaded: engine.isLoaded });
    if (method === 'GET' && path === '/v1/models') {
      const model = { id: localModelName, object: 'model', created: startedAt, owned_by: 'quarterdeck', context_length: contextTokens };
      return sendJson(response, 200, { object: 'list', data: [model] });
    }
    if (method !== 'POST' || path !== '/v1/chat/completions')
      throw new OpenAiError(404, 'not_found', 'The local model has no such address.');
    const chat = readChatRequest(await readJson(request, z.unknown()));
    if (!(await isInstalled()))
      throw new PlatformError('model_unavailable', 'The tiny language model is not installed. Run: quarterdeck model install tiny');
    await answerChat(engine, chat, response);
  };

  const server = createServer({ keepAliveTimeout: 65_000 });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(cause.code === 'EADDRINUSE' ? new PlatformError('port_taken', `Port ${config.port} is in use.`, { cause }) : cause),
    );
    server.listen(config.port, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const admit = createAdmission(config.key, port);
  server.on('request', async (request, response) => {
    try {
      admit(request, request.url !== '/healthz');
      await route(request, response);
    } catch (error) {
      sendError(response, error, logger);
    }
  });
  logger.info({ event: 'local-model-started', port }, 'local model listens');
  const close = async (): Promise<void> => {
    server.close();
    server.closeAllConnections(); // Callers that are cut off end their generations.
    await engine.close();
  };
  return { port, close };
};

const answerChat = async (engine: ModelEngine, { generation, isStreamed }: ChatRequest, response: ServerResponse): Promise<void> => {
  const caller = new AbortController();
  response.once('close', () => caller.abort());
  const stream = isStreamed ? createChatStream(response) : undefined;
  try {
    const answer = await engine.generate(generation, { signal: caller.signal, onText: (text) => stream?.text(text) });
    if (stream) stream.end(answer);
    else sendJson(response, 200, chatCompletion(answer));
  } catch (error) {
    if (!caller.signal.aborted) throw error; // Else nobody is there to be told.
  }
};

const sendError = (response: ServerResponse, thrown: unknown, logger: Logger): void => {
  const error = toOpenAiError(thrown);
  if (error.status >= 500) logger.error({ event: 'request-failed', code: error.code, err: error.cause }, error.message);
  if (response.headersSent) {
    endChatStream(response, error);
    return;
  }
  const headers = {
    ...(error.retryAfterSeconds === undefined ? {} : { 'retry-after': String(error.retryAfterSeconds) }),
    ...(error.status === 413 ? { connection: 'close' } : {}),
  };
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  sendJson(response, error.status, errorBody(error));
};
