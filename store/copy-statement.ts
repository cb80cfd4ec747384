import type pg from 'pg';

/** What of the driver's connection is used here. */
type Wire = {
  stream: { cork(): void; uncork(): void };
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
};

type Callback = (error: Error | null) => void;

/**
 * Statements without parameters of which the last is `copy ... from stdin`, sent together with the rows: one round trip, and one
 * transaction that is committed or refused as a whole. What the server still gets of the rows after it refused a statement it throws away.
 * @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
 */
class CopyStatement implements pg.Submittable {
  /** Set by the driver. */
  callback: Callback | undefined;
  readonly #text: string;
  readonly #rows: string;

  constructor(text: string, rows: string) {
    this.#text = text;
    this.#rows = rows;
  }

  submit(connection: pg.Connection): null {
    const wire = connection as unknown as Wire;
    wire.stream.cork();
    wire.query(this.#text);
    wire.sendCopyFromChunk(Buffer.from(this.#rows));
    wire.endCopyFrom();
    wire.stream.uncork();
    return null;
  }

  handleError(error: Error): void {
    this.#end(error);
  }

  handleReadyForQuery(): void {
    this.#end(null);
  }

  /** The rows are on their way already. */
  handleCopyInResponse(): void {}
  handleCommandComplete(): void {}
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}

  #end(error: Error | null): void {
    const { callback } = this;
    this.callback = undefined;
    callback?.(error);
  }
}

/**
 * Runs statements of which the last takes rows.
 * @param text - ends in `copy TABLE (COLUMNS) from stdin`; what comes before it belongs to the same transaction
 * @param rows - lines of COPY's text format, each with its line end
 */
export const copyInto = async (pool: Pick<pg.Pool, 'query'>, text: string, rows: string): Promise<void> => {
  // a pool gives a promise of its end, whatever the types say of a single connection
  await (pool.query(new CopyStatement(text, rows)) as unknown as Promise<void>);
};
