import { bytesOfTexts, tokensOfBytes } from './estimate-tokens.ts';
import { readUsage, type Usage } from './usage.ts';

/** What one event of a chat completion stream is. `other` holds nothing for us: a comment, or an event that we do not know. */
export type EventReading = 'chunk' | 'usage-only' | 'other' | 'done' | 'error' | 'garbage';

/** The data of an event: its `data` lines, put together. */
const dataOf = (event: Buffer): string =>
  event
    .toString()
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .flatMap((line) => (line.startsWith('data:') ? [line.slice(line[5] === ' ' ? 6 : 5)] : []))
    .join('\n');

/** Whether there are only fields that an event stream may have; anything else is the page of some proxy. */
const isWellFormed = (event: Buffer): boolean =>
  event
    .toString()
    .split(/\r?\n/)
    .every((line) => line === '' || /^(:|(data|event|id|retry)(:|$))/.test(line));

/**
 * Looks at the events of a stream while they pass: what they cost, and whether the answer came to its end.
 * @see https://platform.openai.com/docs/api-reference/chat-streaming
 */
export const createStreamTap = () => {
  let usage: Usage | undefined;
  let textBytes = 0;
  let hasFinishReason = false;

  const readChunk = (chunk: Record<string, unknown>): EventReading => {
    const choices = Array.isArray(chunk.choices) ? (chunk.choices as Record<string, unknown>[]) : undefined;
    if (chunk.error && !choices?.length) return 'error';
    usage = readUsage(chunk.usage) ?? usage;
    if (!choices) return 'other';
    for (const choice of choices) {
      textBytes += bytesOfTexts(choice?.delta);
      if (choice?.finish_reason) hasFinishReason = true;
    }
    return choices.length === 0 && chunk.usage ? 'usage-only' : 'chunk';
  };

  return {
    read: (event: Buffer): EventReading => {
      const data = dataOf(event);
      if (data === '') return isWellFormed(event) ? 'other' : 'garbage';
      if (data.trim() === '[DONE]') return 'done';
      let chunk: unknown;
      try {
        chunk = JSON.parse(data);
      } catch {
        return 'garbage';
      }
      return typeof chunk === 'object' && chunk !== null && !Array.isArray(chunk) ? readChunk(chunk as Record<string, unknown>) : 'garbage';
    },
    usage: (): Usage | undefined => usage,
    outputTokens: (): number => tokensOfBytes(textBytes),
    /** Whether the model said that it has finished. */
    hasFinished: (): boolean => hasFinishReason,
  };
};
