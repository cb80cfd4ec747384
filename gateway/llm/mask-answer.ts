import type { MaskCounts, Masker } from '../mask/create-masker.ts';
import { createStreamMasker } from '../mask/stream-masker.ts';
import { isObject, type JsonObject } from '../mcp/message.ts';

/** Members of a message that are names and kinds, and no text of the model's. */
const labels: ReadonlySet<string> = new Set(['role', 'type', 'id', 'name', 'index', 'finish_reason']);

/** Probabilities of tokens say again what was masked. */
const withoutProbabilities = (choice: JsonObject): JsonObject => ('logprobs' in choice ? { ...choice, logprobs: null } : choice);

/** An answer in one piece, its choices masked and nothing else. */
export const maskCompletion = (bytes: Buffer, masker: Masker, counts: MaskCounts): Buffer => {
  const completion = JSON.parse(bytes.toString()) as JsonObject;
  const choices = (completion.choices as JsonObject[]).map((choice) => ({
    ...withoutProbabilities(choice),
    ...(choice.message === undefined ? {} : { message: masker.json(choice.message, counts) }),
  }));
  return Buffer.from(JSON.stringify({ ...completion, choices }));
};

const eventOf = (chunk: JsonObject): Buffer => Buffer.from(`data: ${JSON.stringify(chunk)}\n\n`);
const dataOf = (event: Buffer): string =>
  event
    .toString()
    .split(/\r?\n/)
    .flatMap((line) => (line.startsWith('data:') ? [line.slice(5)] : []))
    .join('\n');

/**
 * Masks the pieces of a streamed answer as if each text had come in one: the content, the reasoning and the arguments of each tool call
 * of each choice are texts of their own, of which an end that may still become a secret is held back. It comes with the choice's last
 * event, or in one of its own at the end.
 */
export const createAnswerMasker = (masker: Masker, counts: MaskCounts) => {
  const texts = new Map<string, { place: (string | number)[]; choice: number; stream: ReturnType<typeof createStreamMasker> }>();
  let last: JsonObject = {};

  const streamAt = (choice: number, place: (string | number)[]) => {
    const key = JSON.stringify([choice, place]);
    let found = texts.get(key);
    if (!found) {
      found = { place, choice, stream: createStreamMasker(masker, counts) };
      texts.set(key, found);
    }
    return found.stream;
  };

  /** A delta in which each text is what can be told of it by now. Items of lists are known by their `index`, as the pieces of tool calls are. */
  const maskDelta = (choice: number, value: unknown, place: (string | number)[]): unknown => {
    if (typeof value === 'string') return streamAt(choice, place).push(value);
    if (Array.isArray(value))
      return value.map((item, position) =>
        maskDelta(choice, item, [...place, isObject(item) && typeof item.index === 'number' ? item.index : position]),
      );
    if (!isObject(value)) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [name, labels.has(name) ? inner : maskDelta(choice, inner, [...place, name])]),
    );
  };

  /** A delta that says the rest of a text, at the place where the text was. */
  const restAt = ([head, ...place]: (string | number)[], rest: string): unknown => {
    if (head === undefined) return rest;
    const inner = restAt(place, rest);
    return typeof head === 'number' ? [isObject(inner) ? { index: head, ...inner } : inner] : { [head]: inner };
  };

  /** Events that tell what is still held back, of one choice or of all. */
  const restOf = (choice?: number): Buffer[] => {
    const events: Buffer[] = [];
    for (const [key, text] of texts) {
      if (choice !== undefined && text.choice !== choice) continue;
      texts.delete(key);
      const rest = text.stream.end();
      if (rest === '') continue;
      const { usage: _usage, ...head } = last;
      events.push(eventOf({ ...head, choices: [{ index: text.choice, delta: restAt(text.place, rest), finish_reason: null }] }));
    }
    return events;
  };

  return {
    /** @param event - a whole event that holds a chunk; @returns the events to pass on in its place */
    take: (event: Buffer): Buffer[] => {
      const chunk = JSON.parse(dataOf(event)) as JsonObject;
      last = chunk;
      if (!Array.isArray(chunk.choices)) return [event];
      const before: Buffer[] = [];
      const choices = (chunk.choices as JsonObject[]).map((choice) => {
        const index = typeof choice.index === 'number' ? choice.index : 0;
        const delta = choice.delta === undefined ? {} : { delta: maskDelta(index, choice.delta, []) };
        return { ...withoutProbabilities(choice), ...delta };
      });
      const masked = eventOf({ ...chunk, choices });
      for (const choice of choices as JsonObject[])
        if (choice.finish_reason) before.push(...restOf(typeof choice.index === 'number' ? choice.index : 0));
      // the reason why it ended comes last, as it did
      if (before.length === 0) return [masked];
      const open = (choices as JsonObject[]).map((choice) => ({ ...choice, finish_reason: null }));
      const closing = (choices as JsonObject[]).map(({ index, finish_reason }) => ({ index, delta: {}, finish_reason }));
      const { usage: _usage, ...head } = chunk;
      return [eventOf({ ...head, choices: open }), ...before, eventOf({ ...chunk, choices: closing })];
    },
    /** When the stream has ended without saying so. */
    rest: (): Buffer[] => restOf(),
  };
};
