/** What the first bytes of a connection say: more are needed, they are no TLS, or TLS for a host (undefined: it names none). */
export type Greeting = { kind: 'incomplete' } | { kind: 'other' } | { kind: 'tls'; host: string | undefined };

const handshakeRecord = 22;
const clientHello = 1;
const serverNameExtension = 0;
const hostNameType = 0;
/** One record carries a greeting; who cuts it into more than these plays games. */
const mostRecords = 16;
/** A greeting with the largest keys there are stays well below. */
export const longestGreetingBytes = 16_384;

/** Reads on in a buffer and throws `RangeError` where it ends. */
const createReader = (bytes: Buffer) => {
  let at = 0;
  const number = (size: 1 | 2 | 3): number => {
    const value = bytes.readUIntBE(at, size);
    at += size;
    return value;
  };
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new RangeError('it ends early');
    at += length;
    return bytes.subarray(at - length, at);
  };
  return { number, take, block: (size: 1 | 2 | 3): Buffer => take(number(size)), isAtEnd: () => at >= bytes.length };
};

/** Joins the handshake message out of the records it comes in. */
const firstMessage = (bytes: Buffer): Buffer | undefined => {
  const records = createReader(bytes);
  const parts: Buffer[] = [];
  let length = 0;
  for (;;) {
    if (records.isAtEnd()) throw new RangeError('it goes on');
    if (parts.length === mostRecords || records.number(1) !== handshakeRecord) return undefined;
    if (records.number(1) !== 3) return undefined; // the major version of SSL 3 and of each TLS
    records.number(1);
    const part = records.block(2);
    parts.push(part);
    length += part.length;
    const joined = Buffer.concat(parts, length);
    if (joined.length >= 4 && joined.length >= 4 + joined.readUIntBE(1, 3)) return joined.subarray(0, 4 + joined.readUIntBE(1, 3));
  }
};

const hostIn = (extension: Buffer): string | undefined => {
  const names = createReader(createReader(extension).block(2));
  let host: string | undefined;
  while (!names.isAtEnd()) {
    const type = names.number(1);
    const name = names.block(2).toString('latin1');
    if (type !== hostNameType) continue;
    if (host !== undefined) throw new TypeError('two names');
    host = name.toLowerCase();
  }
  return host;
};

/**
 * Reads to which host a client wants to speak TLS, without taking part in it.
 * @param bytes - all that has come so far
 * @see https://www.rfc-editor.org/rfc/rfc8446#section-4.1.2 and https://www.rfc-editor.org/rfc/rfc6066#section-3
 */
export const readClientHello = (bytes: Buffer): Greeting => {
  let message: Buffer | undefined;
  try {
    message = firstMessage(bytes);
  } catch {
    return bytes.length >= longestGreetingBytes ? { kind: 'other' } : { kind: 'incomplete' };
  }
  try {
    if (message?.[0] !== clientHello) return { kind: 'other' };
    const hello = createReader(message.subarray(4));
    hello.take(2 + 32); // version, random
    hello.block(1); // session
    hello.block(2); // cipher suites
    hello.block(1); // compression
    if (hello.isAtEnd()) return { kind: 'tls', host: undefined };
    const extensions = createReader(hello.block(2));
    let host: string | undefined;
    while (!extensions.isAtEnd()) {
      const type = extensions.number(2);
      const content = extensions.block(2);
      if (type !== serverNameExtension) continue;
      if (host !== undefined) return { kind: 'other' };
      host = hostIn(content);
    }
    return { kind: 'tls', host };
  } catch {
    return { kind: 'other' };
  }
};
