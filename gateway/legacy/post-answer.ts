import { PlatformError } from '../../schema/errors.ts';
import type { AcceptedAnswers } from '../edge/accepted-answers.ts';
import { answerJsonText } from '../edge/answer-json.ts';
import { SseWriter } from '../edge/sse-writer.ts';
import type { HttpAnswer } from '../front/http-exchange.ts';
import { eventId } from './event-id.ts';
import type { Outlet } from './outlet.ts';
import type { RequestStream } from './request-stream.ts';

const done = Promise.resolve();

/**
 * The answer to one POST: JSON in one write when nothing was said before it, else a stream that can be taken up again. The requests go on
 * whatever becomes of the connection.
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#sending-messages-to-the-server
 */
export class PostAnswer implements Outlet {
  readonly #response: HttpAnswer;
  readonly #accepted: AcceptedAnswers;
  readonly #openStream: () => RequestStream;
  readonly #isBatch: boolean;
  readonly #isPrimed: boolean;
  readonly #quiet: NodeJS.Timeout | undefined;
  readonly #replies: string[] = [];
  #skipped = '';
  #challenge: string | undefined;
  /** Requests that are not answered yet. */
  #left: number;
  #stream: RequestStream | undefined;

  /**
   * @param options.messages - how many are to be answered
   * @param options.isPrimed - the client takes an event without data, so that it can go on with the stream from its very beginning
   * @param options.quietMs - after so long without an answer the stream begins
   */
  constructor(options: {
    response: HttpAnswer;
    accepted: AcceptedAnswers;
    openStream: () => RequestStream;
    messages: number;
    isBatch: boolean;
    isPrimed: boolean;
    quietMs: number;
  }) {
    this.#response = options.response;
    this.#accepted = options.accepted;
    this.#openStream = options.openStream;
    this.#left = options.messages;
    this.#isBatch = options.isBatch;
    this.#isPrimed = options.isPrimed;
    if (options.accepted.stream) this.#quiet = setTimeout(() => void this.#begin(), options.quietMs);
  }

  get canAsk(): boolean {
    return this.#accepted.stream;
  }

  say(message: string): Promise<void> {
    const stream = this.#begin();
    if (!stream) return done;
    stream.say(message);
    return stream.ready();
  }

  async ask(message: string): Promise<void> {
    const stream = this.#begin();
    if (!stream) throw new PlatformError('client_unreachable', 'The client is gone, so nothing can be asked of it.');
    stream.say(message);
  }

  reply(message: string, challenge?: string): void {
    this.#challenge = challenge;
    if (this.#stream) this.#stream.say(message);
    else this.#replies.push(message);
    this.#answered();
  }

  skip(message: string): void {
    this.#skipped = message;
    this.#answered();
  }

  #answered(): void {
    this.#left -= 1;
    if (this.#left > 0) return;
    clearTimeout(this.#quiet);
    if (this.#stream) this.#stream.end();
    else if (!this.#response.destroyed) this.#answerAtOnce();
  }

  #answerAtOnce(): void {
    const [first] = this.#replies;
    if (first === undefined && this.#accepted.stream) new SseWriter(this.#response).end();
    else if (first === undefined) answerJsonText(this.#response, 200, this.#skipped);
    else if (this.#challenge !== undefined && !this.#isBatch)
      answerJsonText(this.#response, 401, first, { headers: { 'www-authenticate': this.#challenge } });
    else if (this.#accepted.json) answerJsonText(this.#response, 200, this.#isBatch ? `[${this.#replies.join(',')}]` : first);
    else {
      const writer = new SseWriter(this.#response);
      for (const reply of this.#replies) void writer.send(reply);
      writer.end();
    }
  }

  /** The stream, unless the client reads none or is gone and could never take it up. */
  #begin(): RequestStream | undefined {
    if (this.#stream || !this.#accepted.stream || this.#response.destroyed) return this.#stream;
    clearTimeout(this.#quiet);
    const stream = this.#openStream();
    this.#stream = stream;
    for (const reply of this.#replies) stream.say(reply);
    const writer = new SseWriter(this.#response);
    if (this.#isPrimed) void writer.send('', { id: eventId(stream.id, 0) });
    else writer.comment();
    void stream.attach(writer, this.#response, 0);
    return stream;
  }
}
