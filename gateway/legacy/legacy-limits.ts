/** How much legacy clients may hold, and for how long. */
export const legacyLimits = {
  /** A session that nobody used for so long is gone. */
  idleMs: 1_800_000,
  /** And any session after so long: its sealed id says so. */
  lifetimeMs: 604_800_000,
  sessionsPerPrincipal: 12_000,
  sessionsInAll: 50_000,
  /** What `Retry-After` says when there are too many. */
  retryAfterSeconds: 30,
  /** The use of a session is written down so often at most. */
  noteUseMs: 60_000,
  /** And that of one whose stream is open, though nothing is asked, so often. */
  noteReadingMs: 600_000,
  /** A session not used for so long is not kept in memory. */
  cacheMs: 300_000,
  /** What a client may say of itself, in characters of JSON. */
  clientFactsLength: 16_384,
  messagesInBatch: 100,
  /** A request that is not answered after so long gets a stream, so that its answer can be taken up again. */
  quietMs: 5_000,
  /** Events of a stream that are kept in memory for a reader, in characters; what is not yet committed comes on top. */
  recentLength: 262_144,
  /** What a request without a reader may say before it has to wait for commits, in characters. */
  uncommittedLength: 1_048_576,
  /** So long, an ended stream can still be taken up. */
  keepEndedMs: 300_000,
  /** Of a standing stream that nobody reads, so many events wait. */
  keepEvents: 256,
  /** How often a reader of what another replica writes looks by itself. */
  lookMs: 500,
  /** And how often standing streams are looked after that a notice may have missed. */
  lookAfterAllMs: 15_000,
  /** A question without a reader is refused after so long at the latest. */
  unreachableMs: 1_000,
  /** How long an event id that is not known yet may be on its way to the database. */
  commitMs: 300,
  standingStreamsPerSession: 8,
  /** A session of HTTP+SSE ends when its stream was not taken up for so long. */
  leftMs: 60_000,
  sweepMs: 30_000,
  /** When the gateway stops, running requests have so long to end. */
  drainMs: 5_000,
  /** What clients are told to wait before they go on with a stream that was closed. */
  retryMs: 500,
};
export type LegacyLimits = typeof legacyLimits;
