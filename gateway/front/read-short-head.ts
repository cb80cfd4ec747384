import type { IncomingHttpHeaders } from 'node:http';

export type ShortHead = { url: string; headers: IncomingHttpHeaders; bodyAt: number; bodyBytes: number };

const mostHeadBytes = 16 * 1024;
const mostHeaders = 64;
/** A larger body is read piece by piece, by Node's own server. */
const mostBodyBytes = 64 * 1024;

const start = Buffer.from('POST /mcp');
const headEnd = Buffer.from('\r\n\r\n');
/** Toolsets' addresses, without dots and escapes, so that there is one way to read them. */
const requestLine = /^POST (\/mcp(?:\/[A-Za-z0-9-]+){0,3}) HTTP\/1\.1$/;
/** What is neither plain text nor a whole line break. */
const odd = /[^\t\r\n\x20-\x7e]|\r(?!\n)|(?<!\r)\n/;
const plainName = /^[A-Za-z0-9-]+$/;
const plainLength = /^\d{1,5}$/;
/** Each of these changes how a request is framed, or asks for something before its body. */
const framing = ['transfer-encoding', 'expect', 'upgrade', 'trailer', 'te', 'proxy-connection', 'http2-settings'] as const;

/** Header names as clients write them most often, in lower case. */
const lowerNames = new Map<string, string>();
const lower = (name: string): string => {
  const known = lowerNames.get(name);
  if (known !== undefined) return known;
  const lowered = name.toLowerCase();
  if (lowerNames.size < 1000) lowerNames.set(name, lowered);
  return lowered;
};

const readHeaders = (text: string, from: number): IncomingHttpHeaders | undefined => {
  const headers = Object.create(null) as Record<string, string>;
  let count = 0;
  for (let at = from; at < text.length; count += 1) {
    const next = text.indexOf('\r\n', at);
    const end = next === -1 ? text.length : next;
    const colon = text.indexOf(':', at);
    if (colon === -1 || colon > end || count === mostHeaders) return undefined;
    const name = text.slice(at, colon);
    // a folded line begins with a space, and so has no name
    if (!plainName.test(name)) return undefined;
    const key = lower(name);
    if (headers[key] !== undefined) return undefined;
    headers[key] = text.slice(colon + 1, end).trim();
    at = end + 2;
  }
  return headers;
};

const isPlainlyFramed = (headers: IncomingHttpHeaders): boolean => {
  for (const name of framing) if (headers[name] !== undefined) return false;
  const { connection, host, 'content-length': length } = headers;
  return (
    host !== undefined && length !== undefined && plainLength.test(length) && (connection === undefined || /^keep-alive$/i.test(connection))
  );
};

/**
 * Reads the head of a request to MCP, if it is of the form that nearly all are: POST to a plain path, HTTP/1.1, printable ASCII, no header
 * twice, a counted body that is not large, nothing that frames it in another way. Whatever is not exactly so, right or wrong, is for
 * Node's own server to read or to refuse; so this reader needs no opinion on it.
 * @param bytes - what came first
 * @returns undefined for all other heads, and where the head is not whole
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-3
 */
export const readShortHead = (bytes: Buffer): ShortHead | undefined => {
  if (bytes.length < start.length || bytes.compare(start, 0, start.length, 0, start.length) !== 0) return undefined;
  const end = bytes.indexOf(headEnd);
  if (end === -1 || end > mostHeadBytes) return undefined;
  const text = bytes.toString('latin1', 0, end);
  if (odd.test(text)) return undefined;
  const lineEnd = text.indexOf('\r\n');
  const url = lineEnd === -1 ? undefined : requestLine.exec(text.slice(0, lineEnd))?.[1];
  const headers = url === undefined ? undefined : readHeaders(text, lineEnd + 2);
  if (url === undefined || headers === undefined || !isPlainlyFramed(headers)) return undefined;
  const bodyBytes = Number(headers['content-length']);
  return bodyBytes > mostBodyBytes ? undefined : { url, headers, bodyAt: end + headEnd.length, bodyBytes };
};
