import type { ChatMessage, ChatRequest } from './chat-request.ts';
import type { Transcript } from './conversation.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';
import { charactersPerToken, fairLength, shorten } from './shorten.ts';

const shortestResult = 200;
/** Of an answer that was of no use so much is shown again: enough to mend it, and not what made it too large. */
const longestUnusable = 4000;

/** Takes our own `x-` keywords out of a schema: some providers refuse what they do not know. */
export const withoutExtensions = (schema: Json): Json => {
  if (Array.isArray(schema)) return schema.map(withoutExtensions);
  if (!isJsonObject(schema)) return schema;
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([key]) => !key.startsWith('x-'))
      .map(([key, inner]) => [key, withoutExtensions(inner)]),
  );
};

const systemText = ({ head }: Transcript): string => {
  const schema = JSON.stringify(withoutExtensions(head.output));
  const required = head.requiredCalls.length > 0 ? ` Before that, call ${head.requiredCalls.join(', then ')}.` : '';
  return `${head.instructions}\n\nWhen you have finished, answer with one JSON object and nothing else.${required} It fits this JSON Schema:\n${schema}`;
};

/** Calls get ids of our own, so that each result meets its call whatever the provider named it. */
const callId = (answer: number, call: number): string => `call_${answer}_${call}`;

const messagesOf = ({ entries }: Transcript, longestResult: number): ChatMessage[] => {
  let answers = 0;
  let results = 0;
  return entries.flatMap((entry, index): ChatMessage[] => {
    if (entry.kind === 'resumed') return [];
    if (entry.kind === 'repair') return [{ role: 'user', content: entry.message }];
    if (entry.kind === 'result') {
      results += 1;
      return [{ role: 'tool', tool_call_id: callId(answers, results), content: shorten(entry.text, longestResult) }];
    }
    answers += 1;
    results = 0;
    const calls = entry.calls.map((call, index) => ({
      id: callId(answers, index + 1),
      type: 'function' as const,
      function: { name: call.tool, arguments: JSON.stringify(call.arguments) },
    }));
    if (calls.length > 0) return [{ role: 'assistant', content: entry.text || null, tool_calls: calls }];
    const isUnusable = entries[index + 1]?.kind === 'repair';
    return [{ role: 'assistant', content: isUnusable ? shorten(entry.text, longestUnusable) : entry.text }];
  });
};

/**
 * The request of one step for a model that calls tools by itself. The final answer is held to the role's schema by `response_format`
 * where the role has no tools; beside tools many providers refuse it, and the answer is checked when it comes.
 */
export const nativeRequest = (transcript: Transcript): ChatRequest => {
  const { head, entries } = transcript;
  const { alias, contextTokens, maxOutputTokens, temperature } = head.model;
  const opening: ChatMessage[] = [
    { role: 'system', content: systemText(transcript) },
    { role: 'user', content: `Your task, as JSON:\n${JSON.stringify(head.input)}` },
  ];
  const tools = head.tools.map(({ name, description, inputSchema }) => ({
    type: 'function' as const,
    function: { name, description, parameters: inputSchema },
  }));
  const fixed = JSON.stringify([opening, tools, messagesOf(transcript, 0)]).length;
  const budget = (contextTokens - maxOutputTokens) * charactersPerToken - fixed;
  const lengths = entries.flatMap((entry) => (entry.kind === 'result' ? [entry.text.length] : []));
  const schema = withoutExtensions(head.output) as JsonObject;
  return {
    model: alias,
    messages: [...opening, ...messagesOf(transcript, fairLength(lengths, budget, shortestResult))],
    max_tokens: maxOutputTokens,
    stream: false,
    ...(temperature === undefined ? {} : { temperature }),
    ...(tools.length > 0 ? { tools } : { response_format: { type: 'json_schema' as const, json_schema: { name: 'answer', schema } } }),
  };
};
