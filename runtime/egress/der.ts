/** Writes the few forms of ASN.1 that a certificate of ours is made of. @see https://www.itu.int/rec/T-REC-X.690 */

const lengthOf = (length: number): Buffer => {
  if (length < 0x80) return Buffer.from([length]);
  const bytes = Buffer.from(length.toString(16).padStart(length > 0xffff ? 6 : length > 0xff ? 4 : 2, '0'), 'hex');
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
};

const tagged = (tag: number, ...contents: Buffer[]): Buffer => {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content]);
};

/** Two digits each of year, month, day, hour, minute, second, as UTCTime wants them. */
const stamp = (date: Date): string => date.toISOString().replace(/[-:T]|\.\d+/g, '');

export const der = {
  sequence: (...items: Buffer[]): Buffer => tagged(0x30, ...items),
  set: (...items: Buffer[]): Buffer => tagged(0x31, ...items),
  /** A positive number, its first bit free. */
  integer: (bytes: Buffer): Buffer => tagged(0x02, (bytes[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes),
  boolean: (value: boolean): Buffer => tagged(0x01, Buffer.from([value ? 0xff : 0])),
  bits: (bytes: Buffer, unused = 0): Buffer => tagged(0x03, Buffer.from([unused]), bytes),
  bytes: (bytes: Buffer): Buffer => tagged(0x04, bytes),
  text: (text: string): Buffer => tagged(0x0c, Buffer.from(text)),
  /** Years to 2049 have two digits (RFC 5280 §4.1.2.5). */
  time: (date: Date): Buffer =>
    date.getUTCFullYear() < 2050 ? tagged(0x17, Buffer.from(stamp(date).slice(2))) : tagged(0x18, Buffer.from(stamp(date))),
  object: (dotted: string): Buffer => {
    const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
    const base128 = (value: number): number[] => {
      const digits = [value & 0x7f];
      for (let left = value >>> 7; left > 0; left >>>= 7) digits.unshift((left & 0x7f) | 0x80);
      return digits;
    };
    return tagged(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
  },
  /** `[number]` around something (constructed), or in place of its own tag (primitive). */
  explicit: (number: number, content: Buffer): Buffer => tagged(0xa0 | number, content),
  implicit: (number: number, content: Buffer): Buffer => tagged(0x80 | number, content),
};
