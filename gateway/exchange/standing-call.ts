import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { PlatformError } from '../../schema/errors.ts';
import type { McpTaskContent, McpTaskStatus } from '../../store/mcp-tasks.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import { isObject, type Notification, type Question, type Reply } from '../mcp/message.ts';
import { rpcErrorOf } from './error-reply.ts';
import { declaresTasks } from './missing-capabilities.ts';
import { progressTokenOf } from './pass-notifications.ts';

export type StandingTiming = {
  /** A call that takes longer becomes a task, where its client knows tasks. */
  momentMs: number;
  /** What a server asks at the same time is handed over together. */
  gatherMs: number;
  /** A question that nobody answers is given up after so long. */
  answerMs: number;
};
export const standingTiming: StandingTiming = { momentMs: 500, gatherMs: 20, answerMs: 5 * 60_000 };

const maxQuestions = 32;
type OpenQuestion = { question: Question; settle(reply: Reply): void };

/** What to tell the client next: the end of the call, what the server asks, or that the call has become a task. */
export type NextWord = { kind: 'ended'; reply: Reply } | { kind: 'questions' } | { kind: 'task' };

const unanswered = ({ method }: Question): Reply =>
  method === 'elicitation/create'
    ? { kind: 'result', result: { action: 'cancel' } }
    : { kind: 'error', error: rpcErrorOf(new PlatformError('client_unreachable', `The client did not answer ${method} in time.`)) };

/**
 * A call of a modern client that can go on while its client is away: parked while the client is asked something, or as a task.
 * Until then it costs nothing but this object, and ends with its client's request.
 */
export class StandingCall {
  readonly owner: ClientRequest;
  readonly createdAt: Date;
  /** What the steps of the call note of it. */
  readonly standing: NonNullable<ClientRequest['standing']> = {};
  readonly #timing: StandingTiming;
  readonly #stand: (call: StandingCall) => Promise<boolean>;
  readonly #stop = new AbortController();
  readonly #questions = new Map<string, OpenQuestion>();
  readonly #waiters = new Set<() => void>();
  /** Told of every change once the call stands. */
  onChange: () => void = () => undefined;
  #id: string | undefined;
  #asked = 0;
  #reply: Reply | undefined;
  #attached: ClientRequest | undefined;
  #isCancelled = false;
  isStanding = false;

  /** @param stand - writes the call down so that it may outlive its request; false where there is no room for it */
  constructor(owner: ClientRequest, now: number, timing: StandingTiming, stand: (call: StandingCall) => Promise<boolean>) {
    this.owner = owner;
    this.createdAt = new Date(now);
    this.#timing = timing;
    this.#stand = stand;
  }

  get id(): string {
    this.#id ??= `task_${randomBytes(18).toString('base64url')}`;
    return this.#id;
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  get hasEnded(): boolean {
    return this.#reply !== undefined;
  }

  get status(): McpTaskStatus {
    if (this.#reply === undefined) return this.#questions.size > 0 ? 'input_required' : 'working';
    if (this.#reply.kind === 'result') return 'completed';
    return this.#isCancelled ? 'cancelled' : 'failed';
  }

  get openKeys(): string[] {
    return [...this.#questions.keys()];
  }

  get content(): McpTaskContent {
    const reply = this.#reply;
    const asked = this.standing.asked ? { asked: this.standing.asked } : {};
    if (reply?.kind === 'result') return { ...asked, result: reply.result };
    if (reply) return { ...asked, error: reply.error };
    return { ...asked, inputRequests: Object.fromEntries([...this.#questions].map(([key, { question }]) => [key, question])) };
  }

  /** Goes to whoever waits at the moment, under that request's own progress token. */
  readonly notify = async ({ method, params = {} }: Notification): Promise<void> => {
    const request = this.#attached;
    if (!request) return;
    if (method !== 'notifications/progress') return request.notify({ method, params });
    const progressToken = progressTokenOf(request.params);
    if (progressToken !== undefined) return request.notify({ method, params: { ...params, progressToken } });
  };

  /** Keeps a question until the client comes with the answer. */
  readonly ask = (question: Question, signal: AbortSignal): Promise<Reply> =>
    new Promise((resolve, reject) => {
      if (this.hasEnded || signal.aborted) return reject(signal.reason);
      if (this.#questions.size >= maxQuestions) return resolve(unanswered(question));
      this.#asked += 1;
      // never the same key twice: a client tells questions apart by it
      const key = `question-${this.#asked}`;
      const settle = (reply: Reply): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', withdraw);
        if (this.#questions.delete(key)) this.#change();
        resolve(reply);
      };
      const withdraw = (): void => settle(unanswered(question));
      const timer = setTimeout(withdraw, this.#timing.answerMs);
      signal.addEventListener('abort', withdraw, { once: true });
      this.#questions.set(key, { question, settle });
      this.#change();
    });

  /** Takes what a client answers; what answers no open question is left aside. */
  answer(inputResponses: unknown): void {
    for (const [key, value] of Object.entries(isObject(inputResponses) ? inputResponses : {}))
      if (isObject(value)) this.#questions.get(key)?.settle({ kind: 'result', result: value });
  }

  /** The client takes the call back. What may not be left undone goes on to its end all the same. */
  cancel(): void {
    if (this.hasEnded) return;
    this.#isCancelled = true;
    this.stop();
  }

  /** Gives the call up, because nobody can wait for it any longer. */
  stop(): void {
    this.#stop.abort();
    this.#giveUpQuestions();
  }

  end(reply: Reply): void {
    if (this.hasEnded) return;
    this.#reply = reply;
    this.#giveUpQuestions();
    this.#change();
  }

  /** Waits for the next word to a request of the client, which takes the call back when its connection is lost meanwhile. */
  async next(request: ClientRequest): Promise<NextWord> {
    const lost = (): void => {
      if (this.#attached === request) this.cancel();
    };
    this.#attached = request;
    if (request.signal.aborted) lost();
    request.signal.addEventListener('abort', lost, { once: true });
    let isMomentOver = false;
    const momentOver = (): void => {
      isMomentOver = true;
      this.#wake();
    };
    const moment = this.#mayBecomeTask(request) ? setTimeout(momentOver, this.#timing.momentMs) : undefined;
    try {
      return await this.#nextWord(() => isMomentOver);
    } finally {
      clearTimeout(moment);
      request.signal.removeEventListener('abort', lost);
      if (this.#attached === request) this.#attached = undefined;
    }
  }

  #mayBecomeTask({ method, client }: ClientRequest): boolean {
    return method === 'tools/call' && declaresTasks(client.capabilities);
  }

  async #nextWord(isMomentOver: () => boolean): Promise<NextWord> {
    let isRoom = true;
    for (;;) {
      if (this.#reply) return { kind: 'ended', reply: this.#reply };
      if (this.#questions.size > 0) {
        await delay(this.#timing.gatherMs);
        if (this.hasEnded || this.#questions.size === 0) continue;
        const isParked = await this.#stand(this);
        if (this.hasEnded) continue;
        if (isParked) return { kind: 'questions' };
        this.#giveUpQuestions();
      } else if (isRoom && isMomentOver()) {
        isRoom = await this.#stand(this);
        if (isRoom && !this.hasEnded) return { kind: 'task' };
      } else await new Promise<void>((resolve) => this.#waiters.add(resolve));
    }
  }

  #giveUpQuestions(): void {
    for (const { question, settle } of [...this.#questions.values()]) settle(unanswered(question));
  }

  #wake(): void {
    for (const resolve of this.#waiters) resolve();
    this.#waiters.clear();
  }

  #change(): void {
    this.#wake();
    this.onChange();
  }
}
