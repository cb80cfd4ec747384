import type { McpStreamWriter } from '../../store/mcp-stream-writer.ts';
import type { McpStreamEvent } from '../../store/mcp-streams.ts';
import type { SseWriter } from '../edge/sse-writer.ts';
import type { HttpAnswer } from '../front/http-exchange.ts';
import { createBell } from './create-bell.ts';
import type { LegacyLimits } from './legacy-limits.ts';
import { type EventPage, sendEvents } from './send-events.ts';

type Reader = { writer: SseWriter; ring: () => void; sent: number };

/**
 * The stream of requests that this replica runs: numbered events, written down as they are said, and sent to whoever reads. It goes on
 * without a reader, and another may go on reading where one stopped.
 */
export class RequestStream {
  readonly id: string;
  readonly owner: string;
  readonly #streamWriter: McpStreamWriter;
  readonly #readStored: (after: number) => Promise<McpStreamEvent[]>;
  readonly #limits: LegacyLimits;
  /** The newest events: what a reader or the database does not have yet, and some more for one that is behind. */
  #recent: McpStreamEvent[] = [];
  #recentLength = 0;
  #uncommittedLength = 0;
  #uncommitted: McpStreamEvent[] = [];
  #lastSequence = 0;
  #committed = 0;
  #hasEnded = false;
  #reader: Reader | undefined;
  #moved: PromiseWithResolvers<void> | undefined;

  constructor(options: {
    id: string;
    owner: string;
    streamWriter: McpStreamWriter;
    readStored: (after: number) => Promise<McpStreamEvent[]>;
    limits: LegacyLimits;
  }) {
    this.id = options.id;
    this.owner = options.owner;
    this.#streamWriter = options.streamWriter;
    this.#readStored = options.readStored;
    this.#limits = options.limits;
  }

  get lastSequence(): number {
    return this.#lastSequence;
  }
  get hasEnded(): boolean {
    return this.#hasEnded;
  }
  /** Whether all replicas know all of it, so that nobody needs this object any more. */
  get isStored(): boolean {
    return this.#hasEnded && this.#committed === this.#lastSequence;
  }

  say(data: string): void {
    if (this.#hasEnded) return;
    const event = { sequence: ++this.#lastSequence, data };
    this.#streamWriter.append(this.id, event.sequence, data);
    this.#recent.push(event);
    this.#recentLength += data.length;
    this.#uncommitted.push(event);
    this.#uncommittedLength += data.length;
    this.#reader?.ring();
  }

  /** Resolves when more may be said: the reader took everything, or, without a reader, most of it is written down. */
  async ready(): Promise<void> {
    const sequence = this.#lastSequence;
    while (this.#reader?.writer.isOpen ? this.#reader.sent < sequence : this.#uncommittedLength > this.#limits.uncommittedLength) {
      this.#moved ??= Promise.withResolvers();
      await this.#moved.promise;
    }
  }

  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#streamWriter.end(this.id);
    this.#reader?.ring();
  }

  /** Sends what comes behind a place to a connection, instead of to the one before. Resolves when that connection or the stream ends. */
  attach(writer: SseWriter, response: HttpAnswer, after: number): Promise<void> {
    this.#reader?.writer.end();
    this.#reader?.ring();
    const bell = createBell();
    const reader = { writer, ring: bell.ring, sent: after };
    this.#reader = reader;
    response.once('close', () => {
      bell.ring();
      if (this.#reader === reader) this.#reader = undefined;
      this.#move();
    });
    return sendEvents({
      stream: this.id,
      after,
      page: (place) => this.#page(place),
      writer,
      bell,
      onSent: (sequence) => {
        reader.sent = sequence;
        this.#move();
      },
    }).catch(() => writer.end()); // the database did not give what is missing; the client may ask again
  }

  /** Hears that the database has everything up to an event. */
  onCommitted(sequence: number): void {
    this.#committed = Math.max(this.#committed, sequence);
    while (this.#uncommitted[0] && this.#uncommitted[0].sequence <= this.#committed)
      this.#uncommittedLength -= this.#uncommitted.shift()?.data.length ?? 0;
    this.#move();
  }

  #move(): void {
    for (let first = this.#recent[0]; first && first.sequence <= this.#committed; first = this.#recent[0]) {
      const isTaken = this.#reader === undefined || this.#reader.sent >= first.sequence;
      if (!isTaken && this.#recentLength <= this.#limits.recentLength) break;
      this.#recent.shift();
      this.#recentLength -= first.data.length;
    }
    this.#moved?.resolve();
    this.#moved = undefined;
  }

  #page(after: number): EventPage | Promise<EventPage> {
    const first = this.#recent[0]?.sequence ?? this.#lastSequence + 1;
    if (after + 1 >= first) return { events: this.#recent.slice(after + 1 - first), isComplete: this.#hasEnded };
    return this.#readStored(after).then((events) =>
      // nothing is stored any more when the session was ended meanwhile
      events.length > 0 ? { events, isComplete: false } : { events: this.#recent.slice(), isComplete: this.#hasEnded },
    );
  }
}
