import type { HttpAnswer } from '../front/http-exchange.ts';
import type { Notification, Reply, RequestId } from '../mcp/message.ts';
import type { AcceptedAnswers } from './accepted-answers.ts';
import { answerJsonText, errorText, statusOfError } from './answer-json.ts';
import type { EdgeRequest } from './legacy-edge.ts';
import { resultText } from './result-text.ts';
import { type SseTiming, SseWriter } from './sse-writer.ts';

export type AnswerTiming = SseTiming & {
  /** A request that is not answered after so long gets a stream, so that keep-alives can be sent. */
  quietMs?: number;
};

const done = Promise.resolve();

/**
 * The answer to one modern request: a JSON object, or a stream from the first notification on, or when the answer takes long. A client
 * that reads no streams gets the JSON object alone.
 */
export class ModernAnswer {
  readonly #response: HttpAnswer;
  readonly #id: RequestId;
  readonly #accepted: AcceptedAnswers;
  readonly #timing: AnswerTiming;
  readonly #challengeOf: EdgeRequest['challengeOf'];
  readonly #quiet: NodeJS.Timeout | undefined;
  #stream: SseWriter | undefined;
  #isDone = false;

  constructor(
    response: HttpAnswer,
    id: RequestId,
    accepted: AcceptedAnswers,
    timing: AnswerTiming,
    challengeOf?: EdgeRequest['challengeOf'],
  ) {
    this.#response = response;
    this.#id = id;
    this.#accepted = accepted;
    this.#timing = timing;
    this.#challengeOf = challengeOf;
    if (accepted.stream) this.#quiet = setTimeout(() => this.open(), timing.quietMs ?? 10_000);
  }

  /** Begins the stream, and sends its head at once. */
  open(): void {
    this.#begin().comment();
  }

  /** Sends what belongs to the request. Resolves when the reader can take more. */
  notify({ method, params }: Notification): Promise<void> {
    if (this.#isDone || !this.#accepted.stream) return done;
    return this.#begin().send(JSON.stringify({ jsonrpc: '2.0', method, params }));
  }

  /** Ends it; the status of an error can be told as long as no stream was begun. */
  reply(reply: Reply): void {
    if (this.#isDone) return;
    this.stop();
    const isError = reply.kind === 'error';
    const text = isError ? errorText(this.#id, reply.error) : resultText(this.#id, reply.result);
    const challenge = isError ? this.#challengeOf?.(reply.error) : undefined;
    const status = challenge !== undefined ? 401 : isError ? statusOfError(reply.error) : 200;
    const headers = challenge === undefined ? {} : { headers: { 'www-authenticate': challenge } };
    if (this.#stream === undefined && (this.#accepted.json || status !== 200))
      answerJsonText(this.#response, status, text, { stallMs: this.#timing.stallMs, ...headers });
    else this.#begin().end(text);
  }

  /** Nothing more is sent: it was answered, or the client is gone. */
  stop(): void {
    this.#isDone = true;
    clearTimeout(this.#quiet);
  }

  #begin(): SseWriter {
    if (this.#stream === undefined) {
      clearTimeout(this.#quiet);
      this.#stream = new SseWriter(this.#response, this.#timing);
    }
    return this.#stream;
  }
}
