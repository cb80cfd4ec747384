import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { type AgentScript, messageOf } from './agent-scripts.ts';
import { type Evidence, readEvidence } from './read-evidence.ts';

/** What a model of the bench answers to the evidence of one drift, as text. @param turn - 1 for the first answer about this evidence */
export type BenchModel = (evidence: Evidence, turn: number) => string;

type Asked = { model: string; messages: { role: string; content?: unknown }[] };

/** About four characters a token, as the gateway reserves. */
const tokensOf = (value: unknown): number => Math.ceil(JSON.stringify(value).length / 4);

/**
 * The models of the bench behind one OpenAI-compatible address, so that the gateway meters and records them as any other.
 * @param models - that diagnose, by the name that a route of a `Model` asks for
 * @param scripts - of agents at work, by that name; cases add theirs
 * @param options.key - without it in `authorization` nobody is answered
 */
export const serveModels = async (
  models: Readonly<Record<string, BenchModel>>,
  scripts: ReadonlyMap<string, AgentScript> = new Map(),
  { key }: { key?: string } = {},
) => {
  const server = createServer(async (request, response) => {
    const send = (status: number, body: object): void => {
      if (!response.destroyed) response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    if (key !== undefined && request.headers.authorization !== `Bearer ${key}`)
      return send(401, { error: { message: 'Incorrect API key provided', type: 'invalid_request_error', code: 'invalid_api_key' } });
    if (request.url === '/v1/models')
      return send(200, { object: 'list', data: [...Object.keys(models), ...scripts.keys()].map((id) => ({ id, object: 'model' })) });
    const { model, messages } = (await json(request)) as Asked;
    const complete = (message: object): void => {
      const usage = { prompt_tokens: tokensOf(messages), completion_tokens: tokensOf(message) };
      send(200, {
        ...{ id: 'chatcmpl-bench', object: 'chat.completion', created: Math.floor(Date.now() / 1000), model },
        choices: [{ index: 0, message, finish_reason: 'tool_calls' in message ? 'tool_calls' : 'stop' }],
        usage: { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens },
      });
    };
    const script = scripts.get(model);
    if (script) return complete(messageOf(await script({ messages })));
    const answer = models[model];
    const evidence = readEvidence(messages);
    if (!answer) return send(404, { error: { message: `there is no model ${model}`, type: 'invalid_request_error' } });
    if (!evidence) return send(400, { error: { message: 'no evidence in what was asked', type: 'invalid_request_error' } });
    complete({ role: 'assistant', content: answer(evidence, messages.filter(({ role }) => role === 'assistant').length + 1) });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
