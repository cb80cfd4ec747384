import type { Socket } from 'node:net';
import type { ShortRequest } from './http-exchange.ts';
import { readShortHead, type ShortHead } from './read-short-head.ts';
import { keepAliveSeconds, ShortAnswer } from './short-answer.ts';

/** A little longer than clients are told: one that sends at the last moment is still heard. */
const idleMs = keepAliveSeconds * 1000 + 1000;
/** What a client that does not read its answers may have waiting, and for how long. */
const mostWaitingBytes = 1_048_576;
const stallMs = 30_000;
/** What may come ahead of its turn. */
const mostAheadBytes = 65_536;

/** A request whose body is still coming. */
type Begun = { head: ShortHead; pieces: Buffer[]; bytes: number };

export type ShortConnectionEvents = {
  /** Answers a request, whatever happens. */
  onRequest(request: ShortRequest, answer: ShortAnswer): void;
  /** The connection goes to Node's own server, for good, with what has come on it. */
  onOther(socket: Socket, bytes: Buffer): void;
  onGone(connection: ShortConnection): void;
  /** How long a client may take for its first bytes, and for a whole request. */
  timeouts: { headersMs: number; requestMs: number };
};

/**
 * A client's connection as long as all that comes on it are short requests (read-short-head.ts), one after another. The first thing that
 * is anything else goes to Node's own server together with the connection: so there is one reader for the form that nearly all requests
 * have, which costs a third of the time, and a complete one for everything else.
 */
export class ShortConnection {
  readonly #socket: Socket;
  readonly #remoteAddress: string | undefined;
  readonly #events: ShortConnectionEvents;
  #answer: ShortAnswer | undefined;
  #begun: Begun | undefined;
  /** What came before its turn. */
  #ahead: Buffer[] = [];
  #aheadBytes = 0;
  #since = performance.now();
  #isFresh = true;

  constructor(socket: Socket, events: ShortConnectionEvents) {
    this.#socket = socket;
    this.#remoteAddress = socket.remoteAddress;
    this.#events = events;
    socket.on('data', this.#onData).on('end', this.#onEnd).on('drain', this.#onDrain).on('close', this.#onClose).on('error', this.#onError);
  }

  /** The answer that is being made. */
  get answer(): ShortAnswer | undefined {
    return this.#answer;
  }

  get isIdle(): boolean {
    return this.#answer === undefined && this.#begun === undefined && this.#ahead.length === 0 && this.#socket.writableLength === 0;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Ends it where its client has kept it waiting for too long. */
  endIfLate(now: number): void {
    if (this.#answer) return;
    const waitedMs = now - this.#since;
    const { headersMs, requestMs } = this.#events.timeouts;
    const mostMs = this.#begun ? requestMs : this.#socket.writableLength > 0 ? stallMs : this.#isFresh ? headersMs : idleMs;
    if (waitedMs < mostMs) return;
    if (this.#begun) {
      this.#readNoMore();
      this.#socket.end('HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n', () => this.destroy());
    } else this.destroy();
  }

  /** Its client was told that it is closed: what still comes is asked again elsewhere, and so must not be done here (RFC 9112 §9.6). */
  #readNoMore(): void {
    this.#socket.off('data', this.#onData);
    this.#ahead = [];
  }

  readonly #onData = (bytes: Buffer): void => {
    // what came ahead has its turn first, though it waits for it without an answer in front
    if (this.#answer === undefined && this.#ahead.length === 0) this.#take(bytes);
    else this.#keep(bytes);
  };

  #keep(bytes: Buffer): void {
    this.#ahead.push(bytes);
    this.#aheadBytes += bytes.length;
    if (this.#aheadBytes > mostAheadBytes) this.#socket.pause();
  }

  #take(bytes: Buffer): void {
    if (this.#begun) this.#goOn(this.#begun, bytes);
    else this.#begin(bytes);
  }

  #begin(bytes: Buffer): void {
    const head = readShortHead(bytes);
    const given = head ? bytes.length - head.bodyAt : 0;
    if (head === undefined || given > head.bodyBytes) this.#leave(bytes);
    else if (given === head.bodyBytes) this.#serve(head, bytes.subarray(head.bodyAt));
    // a page's request is judged by where it comes from before its body is waited for, which Node's own server can
    else if (head.headers.origin !== undefined) this.#leave(bytes);
    else {
      this.#since = performance.now();
      this.#begun = { head, pieces: given === 0 ? [] : [bytes.subarray(head.bodyAt)], bytes: given };
    }
  }

  #goOn(begun: Begun, bytes: Buffer): void {
    const left = begun.head.bodyBytes - begun.bytes;
    begun.pieces.push(bytes.length > left ? bytes.subarray(0, left) : bytes);
    begun.bytes += bytes.length;
    if (bytes.length < left) return;
    this.#begun = undefined;
    if (bytes.length > left) this.#keep(bytes.subarray(left));
    const [first, ...more] = begun.pieces;
    this.#serve(begun.head, more.length === 0 && first ? first : Buffer.concat(begun.pieces));
  }

  #serve({ url, headers }: ShortHead, body: Buffer): void {
    this.#isFresh = false;
    this.#answer = new ShortAnswer(this.#socket, this.#onAnswered);
    this.#events.onRequest({ method: 'POST', url, headers, body, remoteAddress: this.#remoteAddress }, this.#answer);
  }

  readonly #onAnswered = ({ shouldKeepAlive }: ShortAnswer): void => {
    this.#answer = undefined;
    this.#since = performance.now();
    if (!shouldKeepAlive) {
      this.#readNoMore();
      this.#socket.destroySoon();
    } else if (this.#socket.writableLength > mostWaitingBytes) this.#socket.pause();
    else if (this.#ahead.length > 0) setImmediate(this.#next);
  };

  readonly #next = (): void => {
    if (this.#answer !== undefined || this.#ahead.length === 0 || this.#socket.destroyed) return;
    const bytes = Buffer.concat(this.#ahead);
    this.#ahead = [];
    this.#aheadBytes = 0;
    this.#socket.resume();
    this.#take(bytes);
  };

  readonly #onDrain = (): void => {
    this.#since = performance.now();
    if (this.#answer) this.#answer.drained();
    else {
      this.#socket.resume();
      this.#next();
    }
  };

  /** A client that says no more is not answered either, as Node's own server has it. */
  readonly #onEnd = (): void => {
    if (this.#answer || this.#begun) this.destroy();
    else this.#socket.destroySoon();
  };

  readonly #onClose = (): void => {
    const answer = this.#answer;
    this.#answer = undefined;
    this.#ahead = [];
    this.#events.onGone(this);
    answer?.cut();
  };

  /** A close follows. */
  readonly #onError = (): void => undefined;

  #leave(bytes: Buffer): void {
    const socket = this.#socket;
    socket.off('data', this.#onData).off('end', this.#onEnd).off('drain', this.#onDrain).off('close', this.#onClose);
    socket.off('error', this.#onError);
    this.#events.onGone(this);
    this.#events.onOther(socket, bytes);
  }
}
