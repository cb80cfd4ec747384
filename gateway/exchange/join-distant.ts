import { PlatformError } from '../../schema/errors.ts';
import { hasEnded, type McpTask } from '../../store/mcp-tasks.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import { isObject, objectAt, type Reply } from '../mcp/message.ts';
import { declaresTasks } from './missing-capabilities.ts';
import type { StandingCalls } from './standing-calls.ts';

/** The database is asked this often, should the word of another replica be lost. */
const lookMs = 1000;

export type DistantWord = { kind: 'ended'; reply: Reply } | { kind: 'questions' | 'task'; task: McpTask };

/** How a task has ended, as the answer to the call that it was. */
export const replyOfTask = ({ content: { result, error } }: McpTask): Reply =>
  result ? { kind: 'result', result } : { kind: 'error', error: error ?? { code: -32800, message: 'The call was cancelled.' } };

/** Resolves at the next change, after a while, or when the client has left. */
const change = (calls: StandingCalls, id: string, signal: AbortSignal, waitMs: number): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      stopWatching();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(waitMs, 1));
    const stopWatching = calls.watch(id, done);
    signal.addEventListener('abort', done, { once: true });
  });

/**
 * Goes on with a parked call that another replica runs: leaves the client's answers for it and waits for its next word.
 * @param find - the call as the database has it; ended where its replica is gone
 * @throws {PlatformError} `request_invalid` when there is no such call any more
 */
export const joinDistant = async (
  calls: StandingCalls,
  find: () => Promise<McpTask | undefined>,
  request: ClientRequest,
  { id, momentMs }: { id: string; momentMs: number },
): Promise<DistantWord> => {
  const given = objectAt(request.params, 'inputResponses');
  const answered = new Set<string>();
  const taskAt = declaresTasks(request.client.capabilities) ? performance.now() + momentMs : Number.POSITIVE_INFINITY;
  for (let isFirst = true; ; isFirst = false) {
    const task = await find();
    if (!task)
      throw new PlatformError('request_invalid', 'Invalid params: the call that `requestState` belongs to is over; make the request anew.');
    if (hasEnded(task)) return { kind: 'ended', reply: replyOfTask(task) };
    const asked = Object.keys(task.content.inputRequests ?? {});
    if (isFirst) {
      const fitting = asked.flatMap((key) => (isObject(given[key]) ? [[key, given[key]] as const] : []));
      for (const [key] of fitting) answered.add(key);
      if (fitting.length > 0) await calls.leaveAnswers(id, Object.fromEntries(fitting));
    }
    if (asked.some((key) => !answered.has(key))) return { kind: 'questions', task };
    if (performance.now() >= taskAt) return { kind: 'task', task };
    if (request.signal.aborted) {
      await calls.leaveCancel(id);
      return { kind: 'ended', reply: { kind: 'error', error: { code: -32800, message: 'The client has left.' } } };
    }
    await change(calls, id, request.signal, Math.min(lookMs, taskAt - performance.now()));
  }
};
