import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { WorkerProofs } from '../../activities/worker-proof.ts';
import type { ChatRequest } from '../../agents/chat-request.ts';
import type { JsonObject } from '../../agents/json.ts';
import { treeTool } from '../agents/transcripts.ts';

/** A call as it arrived, with the operation id of its header. */
export type Arrived = { agentId: string; operationId: string; toolset?: string; tool?: string; arguments?: JsonObject; chat?: ChatRequest };
/** What a script answers: a body, or an error with its HTTP status. `hangs` leaves the caller waiting. */
export type Scripted = {
  result?: unknown;
  error?: { code: string; message?: string; reason?: string; approvalId?: string; expiresAt?: string };
  status?: number;
  hangs?: boolean;
};

const readAll = async (request: IncomingMessage): Promise<string> => {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
};

const json = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
};

/** Wraps a text as a chat completion. */
export const completion = (message: { content?: string; tool_calls?: unknown[] }, finishReason = 'stop') => ({
  choices: [{ index: 0, finish_reason: finishReason, message: { role: 'assistant', content: null, ...message } }],
});
export const sayJson = (value: unknown): Scripted => ({ result: completion({ content: JSON.stringify(value) }) });
export const toolText = (text: string, isError = false): Scripted => ({
  result: { resultType: 'complete', content: [{ type: 'text', text }], isError },
});

/** An issuer and a gateway in one small server whose answers a test scripts; it keeps what arrived. */
export const startFakeGateway = async () => {
  const script = {
    tools: [treeTool] as unknown[],
    listAs: 'json' as 'json' | 'events',
    expiresIn: 300,
    refuseTokens: new Set<string>(),
    tokenStatus: 200,
    tokenRefusal: { error: 'invalid_grant' } as object,
    onTool: (_call: Arrived): Scripted | Promise<Scripted> => toolText(''),
    onModel: (_call: Arrived): Scripted | Promise<Scripted> => sayJson({}),
  };
  const seen = { calls: [] as Arrived[], tokens: 0, lists: 0, aborted: 0, headers: [] as IncomingMessage['headers'][] };
  const agents = new Map<string, string>();

  const answerRpc = (response: ServerResponse, id: unknown, { result, error, status = 200 }: Scripted): void => {
    const { message: _message, ...facts } = error ?? {};
    const data = error && { decisionId: 'decision-1', ...facts };
    const message = {
      jsonrpc: '2.0',
      id,
      ...(error ? { error: { code: -32010, message: error.message ?? error.code, data } } : { result }),
    };
    if (script.listAs === 'json') json(response, status, message);
    else {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`event: message\ndata: {"jsonrpc":"2.0","method":"notifications/x"}\n\n`);
      response.end(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
    }
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const text = await readAll(request);
    response.on('close', () => {
      if (!response.writableEnded) seen.aborted += 1;
    });
    if (request.url === '/token') {
      seen.tokens += 1;
      if (script.tokenStatus !== 200) return json(response, script.tokenStatus, script.tokenRefusal);
      const form = new URLSearchParams(text);
      const token = `token-${seen.tokens}`;
      agents.set(token, String(form.get('subject_token')));
      return json(response, 200, { access_token: token, expires_in: script.expiresIn });
    }
    seen.headers.push(request.headers);
    const token = (request.headers.authorization ?? '').replace('Bearer ', '');
    const agentId = agents.get(token);
    if (!agentId || script.refuseTokens.has(token)) return json(response, 401, {}, { 'www-authenticate': 'Bearer error="invalid_token"' });
    const operationId = String(request.headers['idempotency-key'] ?? '');
    const body = JSON.parse(text) as { id: unknown; method: string; params: { name: string; arguments: JsonObject } } & ChatRequest;
    if (request.url === '/v1/chat/completions') {
      const call: Arrived = { agentId, operationId, chat: body };
      seen.calls.push(call);
      const { result, error, status, hangs } = await script.onModel(call);
      if (hangs) return;
      return error
        ? json(response, status ?? 400, { error: { message: error.code, type: 'x', ...error } })
        : json(response, status ?? 200, result);
    }
    if (body.method === 'tools/list') {
      seen.lists += 1;
      return answerRpc(response, body.id, { result: { tools: script.tools, ttlMs: 0, cacheScope: 'private' } });
    }
    const toolset = request.url?.split('/').at(-1);
    const call: Arrived = { agentId, operationId, toolset, tool: body.params.name, arguments: body.params.arguments };
    seen.calls.push(call);
    const scripted = await script.onTool(call);
    if (!scripted.hangs) answerRpc(response, body.id, scripted);
  };

  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => json(response, 500, { error: String(error) }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = async (): Promise<void> => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  };
  return { url, script, seen, close };
};

export type FakeGateway = Awaited<ReturnType<typeof startFakeGateway>>;

/** What a worker shows to an issuer that believes everybody. */
export const pretendedProofs: WorkerProofs = { prove: async () => ({ type: 'pretended', token: 'proof' }), forget: () => false };
