import type { ServerResponse } from 'node:http';
import { type Placeholder, placeholderMark, placeholderPattern } from './reachable-server.ts';
import { Refusal } from './refusal.ts';

export type Header = [name: string, value: string];

/** What went out: the headers as they are to be sent, the variables whose secrets are in them, and the texts that must not come back. */
export type Swapped = { headers: Header[]; variables: string[]; hidden: string[] };

const basicPattern = /^(basic\s+)([A-Za-z0-9+/]+=*)\s*$/i;
/** Above this a text is not decoded again and again. */
const decodings = 3;

/** Whether a text holds a placeholder, also where it is encoded as parts of URLs are. */
export const holdsPlaceholder = (text: string): boolean => {
  let current = text;
  for (let round = 0; round <= decodings; round += 1) {
    if (current.includes(placeholderMark)) return true;
    const decoded = current.replace(/%[0-9a-f]{2}/gi, (code) => String.fromCharCode(Number.parseInt(code.slice(1), 16)));
    if (decoded === current) return false;
    current = decoded;
  }
  return false;
};

/** Whether a request without its body holds one, in Basic credentials too. */
export const isPlaceholderIn = (path: string, headers: readonly Header[]): boolean =>
  holdsPlaceholder(path) ||
  headers.some(([, value]) => {
    const [, , encoded] = basicPattern.exec(value) ?? [];
    return holdsPlaceholder(value) || (encoded !== undefined && holdsPlaceholder(Buffer.from(encoded, 'base64').toString('latin1')));
  });

/**
 * Puts secrets in the place of their placeholders: in the header of each, towards its hosts, and nowhere else.
 * In an address or a body a secret could be stored by the host where the server reads it again; there a placeholder ends the request.
 * @param options.secretOf - reads the secret of a variable
 * @throws {Refusal} `secret-unknown`, `secret-elsewhere`, `secret-misplaced`, or what `secretOf` throws
 */
export const swapSecrets = async ({
  headers,
  path,
  host,
  placeholders,
  secretOf,
}: {
  headers: readonly Header[];
  path: string;
  host: string;
  placeholders: readonly Placeholder[];
  secretOf: (variable: string) => Promise<string>;
}): Promise<Swapped> => {
  if (holdsPlaceholder(path)) throw new Refusal('secret-misplaced');
  const variables = new Set<string>();
  const hidden = new Set<string>();

  const swapIn = async (text: string, header: string): Promise<string> => {
    let swapped = text;
    for (const [found] of text.matchAll(placeholderPattern)) {
      const known = placeholders.find(({ placeholder }) => placeholder === found);
      if (!known) throw new Refusal('secret-unknown');
      if (!known.hosts.includes(host)) throw new Refusal('secret-elsewhere');
      if (known.header !== header) throw new Refusal('secret-misplaced');
      const value = await secretOf(known.variable);
      if (!/^[\x20-\x7e]+$/.test(value)) throw new Refusal('secret-unavailable');
      variables.add(known.variable);
      hidden.add(value);
      swapped = swapped.replaceAll(found, () => value);
    }
    return swapped;
  };

  const swapHeader = async ([name, value]: Header): Promise<Header> => {
    const header = name.toLowerCase();
    const [, scheme, encoded] = basicPattern.exec(value) ?? [];
    const plain = encoded === undefined ? undefined : Buffer.from(encoded, 'base64').toString('latin1');
    if (scheme !== undefined && plain?.includes(placeholderMark)) {
      const credentials = Buffer.from(await swapIn(plain, header), 'latin1').toString('base64');
      hidden.add(credentials);
      return [name, scheme + credentials];
    }
    if (!value.includes(placeholderMark) && holdsPlaceholder(value)) throw new Refusal('secret-misplaced');
    return [name, await swapIn(value, header)];
  };

  const sent: Header[] = [];
  for (const header of headers) sent.push(await swapHeader(header));
  return { headers: sent, variables: [...variables], hidden: [...hidden] };
};

/** Headers as they came, in pairs. */
export const headerPairs = (raw: readonly string[]): Header[] =>
  Array.from({ length: raw.length / 2 }, (_, index) => [raw[index * 2] ?? '', raw[index * 2 + 1] ?? '']);

const hopByHop = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'expect']);

/** Leaves out what is between two neighbours alone (RFC 9110 §7.6.1), and what is meant for a proxy. */
export const endToEnd = (headers: readonly Header[]): Header[] => {
  const named = headers.flatMap(([name, value]) => (name.toLowerCase() === 'connection' ? value.toLowerCase().split(/\s*,\s*/) : []));
  return headers.filter(([name]) => {
    const lower = name.toLowerCase();
    return !hopByHop.has(lower) && !lower.startsWith('proxy-') && !named.includes(lower);
  });
};

/** Answers a request that was refused, once; the connection ends with it, as its body may not have been read. */
export const answerRefusal = (response: ServerResponse, status: number, text: string): void => {
  if (response.headersSent) return void response.destroy();
  response.writeHead(status, { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(text), connection: 'close' }).end(text);
};
