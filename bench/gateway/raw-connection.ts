import { connect, type Socket } from 'node:net';

/** What one answer was: its status, its size on the wire and the first bytes of its body. */
export type RawAnswer = { status: number; bodyBytes: number; bodyStart: string };

const headEnd = Buffer.from('\r\n\r\n');
const lastChunk = Buffer.from('\r\n0\r\n\r\n');
const lookedAt = 512;

/**
 * One keep-alive connection that sends a request and waits for its answer, then the next: as little work as can be, so that what is
 * measured is the server. It understands answers of a known length and chunked ones, and nothing else of HTTP.
 */
export class RawConnection {
  readonly #socket: Socket;
  #onAnswer: ((answer: RawAnswer) => void) | undefined;
  #status = 0;
  /** Bytes of the body that are still to come; -1 = chunked; undefined = the head is not there yet. */
  #missing: number | undefined;
  #head: Buffer = Buffer.alloc(0);
  #tail: Buffer = Buffer.alloc(0);
  #bodyBytes = 0;
  #bodyStart = '';

  private constructor(socket: Socket, onLost: (error: Error) => void) {
    this.#socket = socket;
    socket.on('data', (data: Buffer) => this.#read(data));
    socket.on('error', onLost);
    socket.on('close', () => onLost(new Error('the connection was closed')));
  }

  static open(port: number, onLost: (error: Error) => void): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new RawConnection(socket, onLost));
      });
    });
  }

  /** Sends a whole request; `onAnswer` is called when the whole answer is there. */
  send(request: Buffer, onAnswer: (answer: RawAnswer) => void): void {
    this.#onAnswer = onAnswer;
    this.#socket.write(request);
  }

  close(): void {
    this.#socket.removeAllListeners('close').removeAllListeners('error');
    this.#socket.on('error', () => undefined);
    this.#socket.destroy();
  }

  #read(data: Buffer): void {
    if (this.#missing === undefined) {
      const all = this.#head.length === 0 ? data : Buffer.concat([this.#head, data]);
      const end = all.indexOf(headEnd);
      if (end < 0) {
        this.#head = all;
        return;
      }
      const head = all.toString('latin1', 0, end).toLowerCase();
      this.#status = Number(head.slice(9, 12));
      const length = /\ncontent-length: *(\d+)/.exec(head)?.[1];
      this.#missing = length === undefined ? -1 : Number(length);
      this.#head = Buffer.alloc(0);
      this.#tail = Buffer.from('\r\n'); // an empty chunked body ends with its only chunk
      this.#bodyBytes = 0;
      this.#bodyStart = '';
      this.#readBody(all.subarray(end + headEnd.length));
      return;
    }
    this.#readBody(data);
  }

  #readBody(data: Buffer): void {
    if (this.#bodyStart.length < lookedAt) this.#bodyStart += data.toString('latin1', 0, lookedAt);
    this.#bodyBytes += data.length;
    if (this.#missing === -1) {
      if (data.length >= lastChunk.length) this.#tail = data.subarray(-lastChunk.length);
      else this.#tail = Buffer.concat([this.#tail, data]).subarray(-lastChunk.length);
      if (!this.#tail.equals(lastChunk)) return;
    } else if (this.#bodyBytes < (this.#missing as number)) return;
    this.#missing = undefined;
    const answer = { status: this.#status, bodyBytes: this.#bodyBytes, bodyStart: this.#bodyStart };
    const onAnswer = this.#onAnswer;
    this.#onAnswer = undefined;
    onAnswer?.(answer);
  }
}
