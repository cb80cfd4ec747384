import type { JsonObject } from './json.ts';

/** The part of OpenAI's chat completions that agents use. @see https://platform.openai.com/docs/api-reference/chat/create */
export type ChatMessage =
  | { role: 'system' | 'user'; content: string }
  | {
      role: 'assistant';
      content: string | null;
      tool_calls?: { id: string; type: 'function'; function: { name: string; arguments: string } }[];
    }
  | { role: 'tool'; tool_call_id: string; content: string };

export type ChatRequest = {
  model: string;
  messages: ChatMessage[];
  max_tokens: number;
  stream: false;
  temperature?: number;
  tools?: { type: 'function'; function: { name: string; description: string; parameters: JsonObject } }[];
  response_format?: { type: 'json_schema'; json_schema: { name: string; schema: JsonObject } };
};

/** What came back: text, calls with their arguments as the model wrote them, and why it stopped. */
export type ModelReply = { text: string; toolCalls: { name: string; arguments: string }[]; finishReason: string };
