import { connect, type Socket } from 'node:net';
import { writeTogether } from '../front/write-together.ts';
import type { HttpReader } from './http-sender.ts';
import { ResponseParser } from './response-parser.ts';

/** Every socket reads into this one: what it holds is taken before another socket is read. */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024);

/** How long an idle connection is kept where the server does not say how long it waits: less than most wait. */
const usualIdleMs = 4000;
/** So much sooner than the server do we let go, because a request may be on its way when it does. */
const idleMarginMs = 1000;
const longestIdleMs = 600_000;

/** One request on a connection, and who hears of its answer. */
export type Exchange = {
  /** Characters of Latin-1 alone. */
  readonly head: string;
  readonly body: string;
  readonly bodyBytes: number;
  readonly reader: HttpReader;
  isOver: boolean;
};

export type ConnectionEvents<Sent extends Exchange> = {
  /** The answer is whole, and another request may follow. */
  onIdle(connection: HttpConnection<Sent>): void;
  /**
   * It is closed, whatever the reason; once.
   * @param unsent - what was to go out on a connection that stood idle, and did not: it can go out on another
   */
  onGone(connection: HttpConnection<Sent>, unsent: Sent | undefined): void;
};

const closedEarly = (): Error => Object.assign(new Error('the server closed the connection'), { code: 'ECONNRESET' });
const tooLate = (): Error => Object.assign(new Error('the connection could not be made in time'), { code: 'ETIMEDOUT' });

/**
 * One plain connection to a server, with one request at a time on it. Written by hand because each call of a tool goes through one: the
 * head and a small body leave in one write, and what is read goes straight to its reader.
 */
export class HttpConnection<Sent extends Exchange> {
  readonly #socket: Socket;
  readonly #events: ConnectionEvents<Sent>;
  readonly #parser: ResponseParser;
  #exchange: Sent | undefined;
  #isWritten = false;
  #error: Error | undefined;
  #isOpen = false;
  #isPaused = false;
  /** Until when it may wait for another request, by `performance.now()`. */
  #idleUntil = 0;

  constructor(
    { host, port, connectTimeoutMs }: { host: string; port: number; connectTimeoutMs: number },
    first: Sent,
    events: ConnectionEvents<Sent>,
  ) {
    this.#events = events;
    this.#exchange = first;
    this.#parser = new ResponseParser({
      onStart: (status, headers) => {
        if (this.#exchange && !this.#exchange.isOver) this.#exchange.reader.onStart(status, headers);
      },
      onData: (piece) => {
        // the reader keeps what it gets, and the next read goes into the same buffer
        if (this.#exchange && !this.#exchange.isOver) this.#exchange.reader.onData(Buffer.from(piece));
      },
      onEnd: (isReusable, idleMs) => this.#ended(isReusable, idleMs),
    });
    const onread = { buffer: readBuffer, callback: (size: number): boolean => this.#read(size) };
    this.#socket = connect({ host, port, noDelay: true, keepAlive: true, onread });
    const late = setTimeout(() => this.destroy(tooLate()), connectTimeoutMs);
    this.#socket.once('connect', () => {
      clearTimeout(late);
      this.#isOpen = true;
      if (this.#exchange) this.#write(this.#exchange);
    });
    this.#socket.on('error', (error) => {
      this.#error ??= error;
    });
    this.#socket.once('close', () => {
      clearTimeout(late);
      this.#closed();
    });
  }

  /** Whether it can still be used at this moment. */
  isUsable(now: number): boolean {
    return this.#isOpen && this.#exchange === undefined && now < this.#idleUntil && !this.#socket.destroyed;
  }

  start(exchange: Sent): void {
    this.#exchange = exchange;
    this.#isWritten = false;
    writeTogether(() => this.#write(exchange));
  }

  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#socket.resume();
  }

  destroy(error?: Error): void {
    this.#error ??= error;
    this.#socket.destroy();
  }

  #write({ head, body, bodyBytes, reader, isOver }: Sent): void {
    // it was taken back before anything left
    if (isOver || this.#socket.destroyed) {
      this.destroy();
      return;
    }
    this.#isWritten = true;
    reader.onSent();
    if (bodyBytes === body.length) this.#socket.write(head + body, 'latin1');
    else {
      this.#socket.cork();
      this.#socket.write(head, 'latin1');
      this.#socket.write(body, 'utf8');
      this.#socket.uncork();
    }
  }

  #read(size: number): boolean {
    const piece = readBuffer.subarray(0, size);
    try {
      if (this.#exchange === undefined || !this.#isWritten) throw closedEarly(); // nobody has asked yet
      this.#parser.push(piece);
    } catch (error) {
      this.destroy(error as Error);
    }
    return true;
  }

  #ended(isReusable: boolean, idleMs: number | undefined): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.resume(); // who had to wait has everything now, and the next is not to wait for them
    // an answer that came before the request had left: the rest of it would be taken for the next one
    if (!isReusable || this.#socket.writableLength > 0) this.destroy();
    else {
      const waitMs = idleMs === undefined ? usualIdleMs : Math.min(idleMs, longestIdleMs) - idleMarginMs;
      this.#idleUntil = performance.now() + waitMs;
      this.#events.onIdle(this);
    }
    if (!exchange || exchange.isOver) return;
    exchange.isOver = true;
    exchange.reader.onEnd();
  }

  #closed(): void {
    if (this.#exchange && this.#error === undefined) this.#parser.close();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    const isUnsent = this.#isOpen && !this.#isWritten;
    this.#events.onGone(this, isUnsent ? exchange : undefined);
    if (!exchange || exchange.isOver || isUnsent) return;
    exchange.isOver = true;
    exchange.reader.onError(this.#error ?? closedEarly());
  }
}
