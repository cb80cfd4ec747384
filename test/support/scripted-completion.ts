import { randomUUID } from 'node:crypto';

export type ScriptedToolCall = {
  name: string;
  /** A string is sent as it stands, so that it can be cut or no JSON at all. */
  arguments: unknown;
  id?: string;
};

/** A completion as a provider would send it. */
export type ScriptedCompletion = {
  text?: string;
  /** The text in the pieces in which it is streamed; without it one piece per word. */
  chunks?: string[];
  toolCalls?: ScriptedToolCall[];
  /** `tool_calls` with tool calls, else `stop`. */
  finishReason?: string;
  /** Four characters a token where it is not said; null leaves the usage out, as some servers do. */
  usage?: { promptTokens: number; completionTokens: number } | null;
};

type Request = { model?: string; messages?: unknown; stream_options?: { include_usage?: boolean } };

const textOf = ({ text, chunks }: ScriptedCompletion): string | undefined => text ?? chunks?.join('');

const toolCallsOf = ({ toolCalls }: ScriptedCompletion) =>
  toolCalls?.map(({ name, arguments: given, id = `call_${randomUUID()}` }) => ({
    id,
    type: 'function',
    function: { name, arguments: typeof given === 'string' ? given : JSON.stringify(given) },
  }));

const finishReasonOf = ({ finishReason, toolCalls }: ScriptedCompletion): string => finishReason ?? (toolCalls ? 'tool_calls' : 'stop');

const usageOf = (request: Request, completion: ScriptedCompletion) => {
  if (completion.usage === null) return undefined;
  const length = (value: unknown): number => Math.ceil((JSON.stringify(value) ?? '').length / 4);
  const answer = [textOf(completion), completion.toolCalls];
  const { promptTokens, completionTokens } = completion.usage ?? {
    promptTokens: length(request.messages),
    completionTokens: length(answer),
  };
  return { prompt_tokens: promptTokens, completion_tokens: completionTokens, total_tokens: promptTokens + completionTokens };
};

const headOf = (request: Request, object: string) => ({
  id: `chatcmpl-${randomUUID()}`,
  object,
  created: Math.floor(Date.now() / 1000),
  model: request.model ?? 'scripted',
});

/** The body of an answer in one piece. @see https://platform.openai.com/docs/api-reference/chat/object */
export const completionOf = (request: Request, completion: ScriptedCompletion) => ({
  ...headOf(request, 'chat.completion'),
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: textOf(completion) ?? null, tool_calls: toolCallsOf(completion) },
      finish_reason: finishReasonOf(completion),
    },
  ],
  usage: usageOf(request, completion),
});

/**
 * The chunks of a streamed answer. A tool call comes as its name first and then its arguments in two halves, and the usage comes in a last
 * chunk if the request asked for it.
 * @see https://platform.openai.com/docs/api-reference/chat-streaming
 */
export const completionChunks = (request: Request, completion: ScriptedCompletion): object[] => {
  const head = headOf(request, 'chat.completion.chunk');
  const chunk = (delta: object, finishReason: string | null = null) => ({
    ...head,
    choices: [{ index: 0, delta, finish_reason: finishReason }],
  });
  const pieces = completion.chunks ?? completion.text?.match(/\s*\S+\s*$|\s*\S+/g) ?? [];
  const calls = (toolCallsOf(completion) ?? []).flatMap((call, index) => {
    const { name, arguments: text } = call.function;
    const half = Math.ceil(text.length / 2);
    const more = (part: string) => chunk({ tool_calls: [{ index, function: { arguments: part } }] });
    return [
      chunk({ tool_calls: [{ ...call, index, function: { name, arguments: '' } }] }),
      more(text.slice(0, half)),
      more(text.slice(half)),
    ];
  });
  const usage = request.stream_options?.include_usage ? usageOf(request, completion) : undefined;
  return [
    chunk({ role: 'assistant', content: '' }),
    ...pieces.map((content) => chunk({ content })),
    ...calls,
    chunk({}, finishReasonOf(completion)),
    ...(usage ? [{ ...head, choices: [], usage }] : []),
  ];
};
