import type { HttpAnswer } from '../front/http-exchange.ts';

/** What may wait for a reader, beside one message that is larger. */
const mostWaitingBytes = 1_048_576;
/** Larger texts are cut into pieces, so that it shows whether their reader takes anything. */
const pieceBytes = 65_536;
const done = Promise.resolve();
const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Writes a body to a reader at the reader's own pace. Node's buffer holds one or two pieces; what is more waits here, and whoever awaits
 * `write` goes on when it is gone. A reader that takes no piece for `stallMs` loses its connection, and so does one for whom more than
 * 1 MiB waits because the writer did not await. The response's head has been written by the owner.
 */
export class PacedWriter {
  readonly #response: HttpAnswer;
  readonly #stallMs: number;
  #waiting: (string | Buffer)[] = [];
  #waitingBytes = 0;
  #isBlocked = false;
  #isEnding = false;
  #isClosed = false;
  #stalled: NodeJS.Timeout | undefined;
  #drained: PromiseWithResolvers<void> | undefined;

  /** @param options.stallMs - how long a reader may take to read one piece */
  constructor(response: HttpAnswer, { stallMs = 30_000 }: { stallMs?: number } = {}) {
    this.#response = response;
    this.#stallMs = stallMs;
    response.on('drain', this.#onDrain).once('close', this.#onClose);
  }

  /** False when the end was written or the connection is gone. */
  get isOpen(): boolean {
    return !this.#isEnding && !this.#isClosed;
  }

  /** True while the reader has not taken what was written. */
  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /** Writes whole events or a part of a body. Resolves when the reader can take more, and when it is gone. */
  write(text: string): Promise<void> {
    // not at once: a writer that goes on and on would keep the end of the connection from being heard of
    if (!this.isOpen) return soon();
    if (this.#waitingBytes > mostWaitingBytes) {
      this.cut();
      return soon();
    }
    this.#add(text);
    this.#flush();
    if (!this.#isBlocked) return done;
    this.#drained ??= Promise.withResolvers();
    return this.#drained.promise;
  }

  /** Writes the last of it; what waits is still sent, however much it is. */
  end(text = ''): void {
    if (!this.isOpen) return;
    this.#isEnding = true;
    if (!this.#isBlocked && text.length <= pieceBytes) this.#response.end(text);
    else {
      this.#add(text);
      this.#flush();
    }
  }

  /** Ends the connection at once. */
  cut(): void {
    this.#response.destroy();
    this.#onClose();
  }

  #add(text: string): void {
    if (text.length <= pieceBytes) this.#push(text);
    else {
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length; at += pieceBytes) this.#push(bytes.subarray(at, at + pieceBytes));
    }
  }

  #push(piece: string | Buffer): void {
    this.#waiting.push(piece);
    this.#waitingBytes += piece.length;
  }

  #flush(): void {
    while (!this.#isBlocked) {
      const piece = this.#waiting.shift();
      if (piece === undefined) break;
      this.#waitingBytes -= piece.length;
      if (this.#response.write(piece)) continue;
      this.#isBlocked = true;
      this.#stalled = setTimeout(() => this.cut(), this.#stallMs);
    }
    if (this.#isEnding && !this.#isBlocked) this.#response.end();
  }

  readonly #onDrain = (): void => {
    clearTimeout(this.#stalled);
    this.#isBlocked = false;
    this.#flush();
    if (!this.#isBlocked) this.#release();
  };

  readonly #onClose = (): void => {
    this.#isClosed = true;
    clearTimeout(this.#stalled);
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#release();
  };

  #release(): void {
    this.#drained?.resolve();
    this.#drained = undefined;
  }
}
