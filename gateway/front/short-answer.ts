import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';

/** How long an idle connection is kept; clients are told, so that they do not send into one that is being closed. */
export const keepAliveSeconds = 5;

/** What could end a header's line. */
const unsafeValue = /[^\t\x20-\x7e]/;

let dateSecond = 0;
let dateLine = '';
/** The `Date` that every answer bears (RFC 9110 §6.6.1), made once a second. */
const dateNow = (): string => {
  const second = Math.floor(Date.now() / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateLine = `date: ${new Date(second * 1000).toUTCString()}\r\n`;
  }
  return dateLine;
};

/** How the body's end is told: not decided, by its length, in chunks, or there is none. */
type Framing = 'open' | 'counted' | 'chunked' | 'none';

/**
 * The answer to a short request, written straight to its connection: a small one leaves in one write, head and all. It has of Node's
 * `ServerResponse` what MCP's edge uses, with the same meanings.
 */
export class ShortAnswer {
  /** Whether the connection serves another request after this one. */
  shouldKeepAlive = true;
  headersSent = false;
  /** Everything was handed to the connection. */
  writableFinished = false;
  /** Nothing more can be written. */
  destroyed = false;
  readonly #socket: Socket;
  readonly #onEnded: (answer: ShortAnswer) => void;
  #status = 200;
  #lines = '';
  #framing: Framing = 'open';
  #isHeadWritten = false;
  #drain: (() => void)[] | undefined;
  #close: (() => void)[] | undefined;

  /** @param onEnded - told when all was written, and the connection may serve the next request */
  constructor(socket: Socket, onEnded: (answer: ShortAnswer) => void) {
    this.#socket = socket;
    this.#onEnded = onEnded;
  }

  setHeader(name: string, value: string | number): void {
    if (typeof value === 'string' && unsafeValue.test(value)) throw new TypeError(`the header ${name} has a value that cannot be sent`);
    if (name === 'content-length') this.#framing = 'counted';
    if (name === 'connection' && value === 'close') {
      // said with the head, once
      this.shouldKeepAlive = false;
      return;
    }
    this.#lines += `${name}: ${value}\r\n`;
  }

  writeHead(status: number, headers: Record<string, string | number> = {}): this {
    if (this.headersSent) throw new Error('the head of the answer was written before');
    this.headersSent = true;
    this.#status = status;
    for (const name in headers) this.setHeader(name, headers[name] as string | number);
    if (status === 204) this.#framing = 'none';
    return this;
  }

  /** @returns false when the reader is behind: `drain` says when it can take more */
  write(piece: string | Buffer): boolean {
    if (this.destroyed || this.writableFinished || piece.length === 0) return true;
    if (this.#framing === 'open') this.#framing = 'chunked';
    const before = this.#head();
    if (this.#framing !== 'chunked') return this.#send(before, piece, '');
    const bytes = typeof piece === 'string' ? Buffer.byteLength(piece) : piece.length;
    return this.#send(`${before}${bytes.toString(16)}\r\n`, piece, '\r\n');
  }

  end(text = '', encoding: 'latin1' | 'utf8' = 'utf8'): void {
    if (this.destroyed || this.writableFinished) return;
    if (this.#framing === 'chunked') {
      if (text !== '') this.write(text);
      this.#socket.write('0\r\n\r\n', 'latin1');
    } else {
      if (this.#framing === 'open') this.setHeader('content-length', Buffer.byteLength(text));
      const before = this.#head();
      if (before !== '' || text !== '') this.#socket.write(before + text, encoding);
    }
    this.writableFinished = true;
    this.#closed();
    this.#onEnded(this);
  }

  /** Ends its connection, which after the answer's end is that of the next one. */
  destroy(): void {
    if (!this.destroyed) this.#socket.destroy();
  }

  /** `close`: it was answered whole, or its connection is gone; once, and after it nothing more. */
  on(event: 'drain' | 'close', listener: () => void): this {
    if (event === 'drain') {
      this.#drain ??= [];
      this.#drain.push(listener);
    } else {
      this.#close ??= [];
      this.#close.push(listener);
    }
    return this;
  }

  /** The same as `on`: an answer closes once, and nobody here waits for a single drain. */
  once(event: 'close', listener: () => void): this {
    return this.on(event, listener);
  }

  /** The connection took what was written. */
  drained(): void {
    if (this.#drain) for (const listener of this.#drain) listener();
  }

  /** The connection is gone. */
  cut(): void {
    if (!this.writableFinished) this.#closed();
  }

  #closed(): void {
    this.destroyed = true;
    const listeners = this.#close;
    this.#close = undefined;
    if (listeners) for (const listener of listeners) listener();
  }

  #head(): string {
    if (this.#isHeadWritten) return '';
    this.#isHeadWritten = true;
    this.headersSent = true;
    const connection = this.shouldKeepAlive
      ? `connection: keep-alive\r\nkeep-alive: timeout=${keepAliveSeconds}\r\n`
      : 'connection: close\r\n';
    const coding = this.#framing === 'chunked' ? 'transfer-encoding: chunked\r\n' : '';
    return `HTTP/1.1 ${this.#status} ${STATUS_CODES[this.#status] ?? ''}\r\n${this.#lines}${dateNow()}${connection}${coding}\r\n`;
  }

  #send(before: string, piece: string | Buffer, after: string): boolean {
    if (typeof piece === 'string') return this.#socket.write(before + piece + after);
    this.#socket.cork();
    if (before !== '') this.#socket.write(before, 'latin1');
    let isTaken = this.#socket.write(piece);
    if (after !== '') isTaken = this.#socket.write(after, 'latin1');
    this.#socket.uncork();
    return isTaken;
  }
}
