import { once } from 'node:events';
import { CallerLeft, type ModelCall } from './model-call.ts';

/** Sends the status and the headers of a stream, unless they were sent. */
export const beginStream = ({ response, decisionId }: ModelCall): void => {
  if (response.headersSent) return;
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-quarterdeck-decision': decisionId,
  });
};

/**
 * Writes whole events to the caller; the status goes with the first of them. Waits while the caller does not read, so that no more is
 * fetched than it takes; one that stops reading is given up.
 * @throws {CallerLeft}
 */
export const writeEvents = async (call: ModelCall, events: readonly Buffer[]): Promise<void> => {
  const { response, caller, stallMs } = call;
  if (caller.signal.aborted) throw new CallerLeft('the caller left in the middle of the stream');
  if (events.length === 0) return;
  beginStream(call);
  if (response.write(events.length === 1 ? events[0] : Buffer.concat(events))) return;
  const stalled = AbortSignal.timeout(stallMs);
  await once(response, 'drain', { signal: AbortSignal.any([caller.signal, stalled]) }).catch(() => {
    caller.abort();
    throw new CallerLeft(stalled.aborted ? 'the caller stopped reading' : 'the caller left in the middle of the stream');
  });
};
