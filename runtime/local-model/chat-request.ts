import { z } from 'zod';
import type { ChatMessage, GenerationRequest } from './generation.ts';
import { localModelName } from './model-release.ts';
import { OpenAiError, parameterRefused } from './openai-error.ts';
import { createRecentMap } from './recent-map.ts';
import { schemaToGrammar } from './schema-to-grammar.ts';

const TextPartsSchema = z
  .array(z.object({ type: z.literal('text'), text: z.string() }))
  .transform((parts) => parts.map(({ text }) => text).join(''));

/** The part of a chat completion request that this server follows. @see https://platform.openai.com/docs/api-reference/chat/create */
const ChatRequestSchema = z.looseObject({
  model: z.string(),
  messages: z
    .array(z.object({ role: z.enum(['system', 'developer', 'user', 'assistant']), content: z.union([z.string(), TextPartsSchema]) }))
    .min(1),
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  seed: z.int().nullish(),
  stream: z.boolean().nullish(),
  response_format: z
    .discriminatedUnion('type', [
      z.object({ type: z.literal('text') }),
      z.object({ type: z.literal('json_schema'), json_schema: z.looseObject({ schema: z.looseObject({}) }) }),
    ])
    .nullish(),
});

/** Parameters that would change the answer and cannot be followed, with the values that change nothing. Others are left aside. */
const refusedParameters: Readonly<Record<string, readonly unknown[]>> = {
  tools: [],
  functions: [],
  tool_choice: ['none', 'auto'],
  function_call: ['none', 'auto'],
  n: [1],
  stop: [],
  logprobs: [false],
  top_logprobs: [0],
  logit_bias: [],
  frequency_penalty: [0],
  presence_penalty: [0],
  audio: [],
  prediction: [],
  web_search_options: [],
};
const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0);

const usualAnswerTokens = 512;
const keptGrammars = 64;

export type ChatRequest = { generation: GenerationRequest; isStreamed: boolean };

/**
 * Makes the function that turns a body of `POST /v1/chat/completions` into what the model is asked. The temperature is 0 unless the request
 * says otherwise, and an answer has at most 512 tokens.
 * @returns a function that throws {OpenAiError} 400 naming the field and what to do, 404 for the name of another model
 */
export const createChatRequestReader = (): ((body: unknown) => ChatRequest) => {
  const grammars = createRecentMap<string>(keptGrammars);
  return (body) => {
    const parsed = ChatRequestSchema.safeParse(body);
    if (!parsed.success) throw malformed(parsed.error);
    const request = parsed.data;
    refuseUnsupported(request);
    if (request.model !== localModelName)
      throw new OpenAiError(
        404,
        'model_not_found',
        `There is no model ${JSON.stringify(request.model.slice(0, 100))} here; the local model is "${localModelName}".`,
        {
          param: 'model',
        },
      );
    const format = request.response_format;
    const schema = format?.type === 'json_schema' ? format.json_schema.schema : undefined;
    return {
      isStreamed: request.stream ?? false,
      generation: {
        messages: request.messages.map(({ role, content }): ChatMessage => ({ role: role === 'developer' ? 'system' : role, content })),
        ...(schema === undefined ? {} : { grammar: grammars.get(JSON.stringify(schema), () => schemaToGrammar(schema)) }),
        maxTokens: request.max_completion_tokens ?? request.max_tokens ?? usualAnswerTokens,
        temperature: request.temperature ?? 0,
        ...(request.top_p == null ? {} : { topP: request.top_p }),
        ...(request.seed == null ? {} : { seed: request.seed }),
      },
    };
  };
};

const refuseUnsupported = (request: Readonly<Record<string, unknown>>): void => {
  for (const [name, harmless] of Object.entries(refusedParameters)) {
    const value = request[name];
    if (isEmpty(value) || harmless.includes(value)) continue;
    const isTools = name === 'tools' || name === 'functions' || name === 'tool_choice' || name === 'function_call';
    const next = isTools ? 'Ask for the call as JSON by response_format json_schema.' : 'Leave it out.';
    throw parameterRefused(name, `The local model does not follow "${name}". ${next}`);
  }
};

const malformed = (error: z.ZodError): OpenAiError => {
  const [issue] = error.issues;
  const field = issue?.path.join('.') ?? '';
  return new OpenAiError(400, 'invalid_request', `${field || 'The body'}: ${issue?.message ?? 'cannot be read'}.`, {
    param: field || undefined,
  });
};
