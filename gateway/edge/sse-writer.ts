import type { HttpAnswer } from '../front/http-exchange.ts';
import { PacedWriter } from './paced-writer.ts';

/** Proxies are told not to hold events back, and not to change them (compression would hold them too). */
const streamHeaders = { 'content-type': 'text/event-stream', 'cache-control': 'no-store, no-transform', 'x-accel-buffering': 'no' };
const comment = ':\n\n';

export type SseTiming = {
  /** After so long without an event a comment is sent, so that nobody on the way takes the connection for dead. */
  keepAliveMs?: number;
  /** How long a reader may take nothing of what waits for it. */
  stallMs?: number;
};

/**
 * A stream of server-sent events to one reader, at its own pace: at most 1 MiB waits, a reader that takes nothing loses its connection.
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export class SseWriter {
  readonly #writer: PacedWriter;
  readonly #keepAlive: NodeJS.Timeout;

  /** Writes the head with status 200; it leaves with the first event or comment. */
  constructor(response: HttpAnswer, { keepAliveMs = 15_000, stallMs = 30_000 }: SseTiming = {}, headers: Record<string, string> = {}) {
    response.writeHead(200, { ...streamHeaders, ...headers });
    this.#writer = new PacedWriter(response, { stallMs });
    this.#keepAlive = setInterval(() => this.comment(), keepAliveMs);
    response.once('close', () => clearInterval(this.#keepAlive));
  }

  /** False when the stream was ended or the reader is gone. */
  get isOpen(): boolean {
    return this.#writer.isOpen;
  }

  /**
   * Sends one event. Resolves when the reader can take more, and when it is gone.
   * @param data - one line, as `JSON.stringify` writes it
   * @param options.id - what a reader sends as `Last-Event-ID` to go on behind this event
   */
  send(data: string, { event = 'message', id }: { event?: string; id?: string } = {}): Promise<void> {
    this.#keepAlive.refresh();
    return this.#writer.write(eventText(data, event, id));
  }

  /** Sends what is no event; a new stream's head leaves with it. */
  comment(): void {
    // whoever has not read what waits need not be told that the connection is alive
    if (!this.#writer.isBlocked) void this.#writer.write(comment);
  }

  /** Tells the reader how long to wait before it connects again. */
  retryAfter(retryMs: number): void {
    void this.#writer.write(`retry: ${retryMs}\n\n`);
  }

  /** Sends a last event, if there is one, and ends the stream. */
  end(data?: string, { event = 'message', id }: { event?: string; id?: string } = {}): void {
    clearInterval(this.#keepAlive);
    this.#writer.end(data === undefined ? '' : eventText(data, event, id));
  }
}

const eventText = (data: string, event: string, id: string | undefined): string =>
  id === undefined ? `event: ${event}\ndata: ${data}\n\n` : `event: ${event}\nid: ${id}\ndata: ${data}\n\n`;
