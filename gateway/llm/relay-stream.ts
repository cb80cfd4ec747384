import type { Dispatcher } from 'undici';
import { isPlatformError } from '../../schema/errors.ts';
import { createAnswerMasker } from './mask-answer.ts';
import { type Answer, CallerLeft, type ModelCall, required } from './model-call.ts';
import { unavailable } from './provider-error.ts';
import type { Route } from './provider-request.ts';
import { createEventSplitter } from './split-events.ts';
import { createStreamTap } from './stream-tap.ts';
import { spentOf } from './usage.ts';
import { beginStream, writeEvents } from './write-events.ts';

const mostEventBytes = 16 * 1024 * 1024;
const leftoverBytes = 65_536;
const leftoverMs = 1000;

/**
 * Passes a stream on as it comes, event by event with their own bytes: half an event is never sent, so an error can follow at any place.
 * Usage that the caller did not ask for is taken out again. The end of the stream is handed back, to be sent when the call is settled.
 * A stream that breaks before its first token leaves `spent` unset, and the next route may be tried.
 */
export const relayStream = async (
  call: ModelCall,
  { price }: Route,
  provider: string,
  { body, headers }: Pick<Dispatcher.ResponseData, 'body' | 'headers'>,
): Promise<Answer> => {
  const chat = call.chat;
  const wantsUsage = chat?.body.stream_options?.include_usage === true;
  const splitter = createEventSplitter(mostEventBytes);
  const tap = createStreamTap();
  const held: Buffer[] = [];
  const mask = call.mask && createAnswerMasker(call.mask, required(call.masked, 'the counts'));
  let hasBegun = false;
  let isComplete = false;

  const account = (): void => {
    const usage = tap.usage();
    const { inputTokens, outputTokens } = usage ?? { inputTokens: chat?.promptTokens ?? 0, outputTokens: 0 };
    // usage that came before a stream broke off does not count what came after it
    const isEstimated = usage === undefined || (!isComplete && outputTokens < tap.outputTokens());
    call.spent = spentOf({ inputTokens, outputTokens: isEstimated ? tap.outputTokens() : outputTokens }, price, isEstimated);
  };

  /** @returns whether the stream has come to its end */
  const take = async (events: readonly Buffer[]): Promise<boolean> => {
    const passed: Buffer[] = [];
    for (const event of events) {
      const reading = tap.read(event);
      if (reading === 'error' || reading === 'garbage') {
        await writeEvents(call, passed);
        throw unavailable(provider, reading === 'error' ? 'reported an error in its stream' : 'sent something that is no chat completion');
      }
      hasBegun ||= reading === 'chunk' || reading === 'usage-only';
      if (reading === 'done') {
        if (mask) passed.push(...mask.rest());
        held.push(event);
        break;
      }
      if (reading === 'usage-only' && !wantsUsage) continue;
      if (mask && reading === 'chunk') passed.push(...mask.take(event));
      else passed.push(event);
    }
    await writeEvents(call, passed);
    return held.length > 0;
  };

  const takeAll = async (): Promise<void> => {
    for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>)
      if (await take(splitter.push(chunk))) return;
    // the blank line after the last event is often forgotten
    const rest = splitter.rest();
    if (rest.length > 0 && (await take([Buffer.concat([rest, Buffer.from('\n\n')])]))) return;
    if (!tap.hasFinished()) throw unavailable(provider, 'ended its stream before the answer was complete');
    if (mask) await writeEvents(call, mask.rest());
  };

  try {
    if (!String(headers['content-type'] ?? '').startsWith('text/event-stream')) throw unavailable(provider, 'did not answer with a stream');
    await takeAll();
    if (!hasBegun) throw unavailable(provider, 'sent a stream without an answer');
    beginStream(call);
    isComplete = true;
  } catch (error) {
    body.on('error', () => undefined).destroy();
    if (call.caller.signal.aborted) {
      hasBegun = true;
      throw error instanceof CallerLeft ? error : new CallerLeft('the caller left in the middle of the stream');
    }
    throw isPlatformError(error) ? error : unavailable(provider, 'broke off in the middle of its stream', error);
  } finally {
    if (hasBegun) account();
  }
  // what may follow is read and thrown away, so that the connection can be used again
  if (!body.readableEnded) void body.dump({ limit: leftoverBytes, signal: AbortSignal.timeout(leftoverMs) }).catch(() => undefined);
  return { kind: 'streamed', tail: Buffer.concat(held) };
};
