import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Generation } from './generation.ts';
import { localModelName } from './model-release.ts';
import { errorBody, type OpenAiError } from './openai-error.ts';

const usageOf = ({ promptTokens, completionTokens }: Generation) => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
});

const headOf = (object: string) => ({
  id: `chatcmpl-${randomUUID()}`,
  object,
  created: Math.floor(Date.now() / 1000),
  model: localModelName,
});

/** The body of an answer in one piece. @see https://platform.openai.com/docs/api-reference/chat/object */
export const chatCompletion = (generation: Generation) => ({
  ...headOf('chat.completion'),
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: generation.text, refusal: null },
      logprobs: null,
      finish_reason: generation.finishReason,
    },
  ],
  usage: usageOf(generation),
});

/**
 * Writes an answer as server-sent events. The status is sent with the first piece, so a request that fails before it is answered as any
 * other; the last chunk has the usage, whether or not it was asked for.
 * @see https://platform.openai.com/docs/api-reference/chat-streaming
 */
export const createChatStream = (response: ServerResponse) => {
  const head = headOf('chat.completion.chunk');
  const send = (data: object): void => void response.write(`data: ${JSON.stringify(data)}\n\n`);
  const chunk = (delta: object, finishReason: string | null = null): void =>
    send({ ...head, choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }], usage: null });
  const begin = (): void => {
    if (response.headersSent) return;
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    chunk({ role: 'assistant', content: '' });
  };
  return {
    text(content: string): void {
      begin();
      chunk({ content });
    },
    end(generation: Generation): void {
      begin();
      chunk({}, generation.finishReason);
      send({ ...head, choices: [], usage: usageOf(generation) });
      response.end('data: [DONE]\n\n');
    },
  };
};

/** After the first piece an error can only be an event; the stream then ends without `[DONE]`. */
export const endChatStream = (response: ServerResponse, error: OpenAiError): void => {
  response.end(`data: ${JSON.stringify(errorBody(error))}\n\n`);
};
