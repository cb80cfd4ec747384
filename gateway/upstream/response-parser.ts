import type { IncomingHttpHeaders } from 'node:http';

/** A head, or the trailers of a body, may be this long; so may the line before a chunk. */
const mostHeadBytes = 64 * 1024;
const mostLineBytes = 4096;

const headEnd = Buffer.from('\r\n\r\n');
const lineEnd = Buffer.from('\r\n');
const statusLine = /^HTTP\/1\.([01]) (\d{3})(?: |$)/;
const headerName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const chunkLine = /^([0-9a-fA-F]{1,12})[ \t]*(?:;|$)/;
/** A line break that is not CR LF: what one reader takes for the end of a line another does not. */
const strayBreak = /[^\r]\n|\r[^\n]|\r$|^\n|\0/;

/** What came is no HTTP/1.1 as this parser accepts it; nothing more can be read from the connection. */
export class ResponseMalformed extends Error {
  readonly code = 'HTTP_MALFORMED';
}

export type ResponseEvents = {
  onStart(status: number, headers: IncomingHttpHeaders): void;
  /** The piece is only valid during the call. */
  onData(piece: Buffer): void;
  /** @param isReusable - whether another request may follow on the connection; `idleMs`: for how long the server says it waits for one */
  onEnd(isReusable: boolean, idleMs: number | undefined): void;
};

type State = 'head' | 'counted' | 'chunk-line' | 'chunk' | 'chunk-end' | 'trailers' | 'until-close' | 'done';

const readHeaders = (head: string, from: number): IncomingHttpHeaders => {
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  for (let start = from; start < head.length; ) {
    const next = head.indexOf('\r\n', start);
    const end = next === -1 ? head.length : next;
    const colon = head.indexOf(':', start);
    const name = colon === -1 || colon > end ? '' : head.slice(start, colon);
    // a folded line has a space where a name should begin
    if (!headerName.test(name)) throw new ResponseMalformed('a header has no proper name');
    const key = name.toLowerCase();
    const value = head.slice(colon + 1, end).trim();
    headers[key] = headers[key] === undefined ? value : `${headers[key]}, ${value}`;
    start = end + 2;
  }
  return headers;
};

/**
 * Reads the answers that come one after another on a connection, strictly: whatever two readers could take differently is refused.
 * @see https://www.rfc-editor.org/rfc/rfc9112
 */
export class ResponseParser {
  readonly #events: ResponseEvents;
  #state: State = 'head';
  /** The beginning of a head or line whose end has not come. */
  #kept: Buffer | undefined;
  /** Bytes of the body or chunk that are still to come. */
  #left = 0;
  #isReusable = true;
  #idleMs: number | undefined;

  constructor(events: ResponseEvents) {
    this.#events = events;
  }

  /** Whether an answer has begun and not ended. */
  get isInside(): boolean {
    return this.#state !== 'head' || this.#kept !== undefined;
  }

  /** @throws {ResponseMalformed} */
  push(piece: Buffer): void {
    let rest: Buffer | undefined = piece;
    while (rest !== undefined && rest.length > 0) rest = this.#step(rest);
  }

  /** The server has closed the connection. @returns whether that ended an answer properly */
  close(): boolean {
    if (this.#state !== 'until-close') return false;
    this.#isReusable = false;
    this.#end();
    return true;
  }

  #step(rest: Buffer): Buffer | undefined {
    switch (this.#state) {
      case 'head':
        return this.#readHead(rest);
      case 'counted':
      case 'chunk':
        return this.#readCounted(rest);
      case 'chunk-line':
        return this.#readChunkLine(rest);
      case 'chunk-end':
        return this.#readChunkEnd(rest);
      case 'trailers':
        return this.#readTrailers(rest);
      case 'until-close':
        this.#events.onData(rest);
        return undefined;
      case 'done':
        throw new ResponseMalformed('something follows an answer that nobody asked for');
    }
  }

  /** Takes what comes up to a mark, the mark left out; undefined until that is there. */
  #until(mark: Buffer, rest: Buffer, mostBytes: number): { text: string; rest: Buffer } | undefined {
    const all = this.#kept ? Buffer.concat([this.#kept, rest]) : rest;
    const end = all.indexOf(mark);
    if (end > mostBytes || (end === -1 && all.length > mostBytes)) throw new ResponseMalformed('a head or line is too long');
    if (end === -1) {
      // what is given is only valid now
      this.#kept = all === rest ? Buffer.from(rest) : all;
      return undefined;
    }
    this.#kept = undefined;
    return { text: all.toString('latin1', 0, end), rest: all.subarray(end + mark.length) };
  }

  #readHead(rest: Buffer): Buffer | undefined {
    const found = this.#until(headEnd, rest, mostHeadBytes);
    if (!found) return undefined;
    const { text } = found;
    const [line, minor, status] = statusLine.exec(text) ?? [];
    if (line === undefined || strayBreak.test(text)) throw new ResponseMalformed('a head is not that of an answer');
    const first = text.indexOf('\r\n');
    const headers = readHeaders(text, first === -1 ? text.length : first + 2);
    const code = Number(status);
    if (code === 101) throw new ResponseMalformed('the server changes the protocol');
    // 100 and 103 go before the answer proper
    if (code < 200) return found.rest;
    this.#begin(code, minor === '0', headers);
    return this.#state === 'done' ? this.#afterEnd(found.rest) : found.rest;
  }

  #begin(status: number, isOld: boolean, headers: IncomingHttpHeaders): void {
    const { connection = '', 'transfer-encoding': encoding, 'content-length': length } = headers;
    const options = connection.toLowerCase();
    this.#isReusable = isOld ? options.includes('keep-alive') : !options.includes('close');
    const timeout = /(?:^|[,\s])timeout=(\d{1,6})/i.exec(String(headers['keep-alive'] ?? ''))?.[1];
    this.#idleMs = timeout === undefined ? undefined : Number(timeout) * 1000;
    if (encoding !== undefined && encoding.toLowerCase() !== 'chunked') throw new ResponseMalformed(`the transfer encoding ${encoding}`);
    if (length !== undefined && !/^\d{1,15}$/.test(length)) throw new ResponseMalformed('a content length that is no number');
    if (status === 204 || status === 304) this.#state = 'done';
    else if (encoding !== undefined) {
      // with both, somebody on the way may have read it otherwise
      if (length !== undefined || isOld) this.#isReusable = false;
      this.#state = 'chunk-line';
    } else if (length === undefined) {
      this.#isReusable = false;
      this.#state = 'until-close';
    } else {
      this.#left = Number(length);
      this.#state = this.#left === 0 ? 'done' : 'counted';
    }
    this.#events.onStart(status, headers);
  }

  #readCounted(rest: Buffer): Buffer | undefined {
    const isWhole = rest.length <= this.#left;
    const piece = isWhole ? rest : rest.subarray(0, this.#left);
    this.#left -= piece.length;
    this.#events.onData(piece);
    const after = isWhole ? undefined : rest.subarray(piece.length);
    if (this.#left > 0) return after;
    if (this.#state === 'chunk') {
      this.#state = 'chunk-end';
      return after;
    }
    return this.#afterEnd(after);
  }

  #readChunkLine(rest: Buffer): Buffer | undefined {
    const found = this.#until(lineEnd, rest, mostLineBytes);
    if (!found) return undefined;
    const [, size] = chunkLine.exec(found.text) ?? [];
    if (size === undefined || strayBreak.test(found.text)) throw new ResponseMalformed('a chunk has no proper size');
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left === 0 ? 'trailers' : 'chunk';
    return found.rest;
  }

  #readChunkEnd(rest: Buffer): Buffer | undefined {
    const found = this.#until(lineEnd, rest, 1);
    if (!found) return undefined;
    if (found.text !== '') throw new ResponseMalformed('a chunk is longer than it says');
    this.#state = 'chunk-line';
    return found.rest;
  }

  /** What follows the last chunk: lines that nobody needs, and an empty one. */
  #readTrailers(rest: Buffer): Buffer | undefined {
    const found = this.#until(lineEnd, rest, mostHeadBytes);
    if (!found) return undefined;
    return found.text === '' ? this.#afterEnd(found.rest) : found.rest;
  }

  #afterEnd(rest: Buffer | undefined): undefined {
    // nobody has asked for more yet
    if (rest !== undefined && rest.length > 0) this.#isReusable = false;
    this.#end();
  }

  #end(): void {
    this.#state = this.#isReusable ? 'head' : 'done';
    this.#events.onEnd(this.#isReusable, this.#idleMs);
  }
}
