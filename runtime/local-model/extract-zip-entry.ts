import { createReadStream, createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { crc32, createInflateRaw } from 'node:zlib';
import { PlatformError } from '../../schema/errors.ts';

const endSignature = 0x06054b50;
const endBytes = 22;
const longestComment = 65_535;
const directorySignature = 0x02014b50;
const localSignature = 0x04034b50;

type ZipEntry = { method: number; crc: number; compressedBytes: number; bytes: number; localOffset: number };

/**
 * Unpacks one file of a zip archive. Archives over 4 GiB, encryption, and methods other than stored and deflated are not read.
 * @throws {PlatformError} `model_unavailable` when the archive is damaged or has no such entry
 * @see https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
 */
export const extractZipEntry = async (zipPath: string, entryName: string, destination: string): Promise<void> => {
  const archive = await open(zipPath);
  try {
    const { size } = await archive.stat();
    const readAt = async (offset: number, length: number): Promise<Buffer> => {
      if (offset < 0 || offset + length > size) throw damaged('it points outside itself');
      const { buffer } = await archive.read(Buffer.alloc(length), 0, length, offset);
      return buffer;
    };
    const tailLength = Math.min(size, endBytes + longestComment);
    const tail = await readAt(size - tailLength, tailLength);
    const end = tail.lastIndexOf(Buffer.from(Uint32Array.of(endSignature).buffer));
    if (end === -1 || end + endBytes > tail.length) throw damaged('it has no directory');
    const directory = await readAt(tail.readUInt32LE(end + 16), tail.readUInt32LE(end + 12));
    const entry = findEntry(directory, entryName);
    const local = await readAt(entry.localOffset, 30);
    if (local.readUInt32LE(0) !== localSignature) throw damaged('an entry does not begin where it should');
    const start = entry.localOffset + 30 + local.readUInt16LE(26) + local.readUInt16LE(28);
    if (start + entry.compressedBytes > size) throw damaged('it is cut');
    await unpack(zipPath, start, entry, destination);
  } finally {
    await archive.close();
  }
};

const damaged = (reason: string, cause?: unknown): PlatformError =>
  new PlatformError('model_unavailable', `The package with the model cannot be unpacked: ${reason}. Install it again.`, { cause });

const findEntry = (directory: Buffer, entryName: string): ZipEntry => {
  let at = 0;
  while (at + 46 <= directory.length && directory.readUInt32LE(at) === directorySignature) {
    const nameEnd = at + 46 + directory.readUInt16LE(at + 28);
    if (directory.toString('utf8', at + 46, nameEnd) === entryName)
      return {
        method: directory.readUInt16LE(at + 10),
        crc: directory.readUInt32LE(at + 16),
        compressedBytes: directory.readUInt32LE(at + 20),
        bytes: directory.readUInt32LE(at + 24),
        localOffset: directory.readUInt32LE(at + 42),
      };
    at = nameEnd + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
  }
  throw damaged(`it has no file ${entryName}`);
};

const unpack = async (zipPath: string, start: number, entry: ZipEntry, destination: string): Promise<void> => {
  if (entry.method !== 0 && entry.method !== 8) throw damaged(`it uses the packing method ${entry.method}`);
  let [bytes, crc] = [0, 0];
  const measured = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      crc = crc32(chunk, crc);
      done(bytes > entry.bytes ? damaged('a file is longer than declared') : null, chunk);
    },
  });
  const packed = entry.compressedBytes === 0 ? [] : createReadStream(zipPath, { start, end: start + entry.compressedBytes - 1 });
  const unpacking = entry.method === 8 ? [createInflateRaw()] : [];
  try {
    await pipeline([packed, ...unpacking, measured, createWriteStream(destination)] as unknown as NodeJS.ReadWriteStream[]);
  } catch (error) {
    const isInflateError = String((error as NodeJS.ErrnoException).code).startsWith('Z_');
    throw isInflateError ? damaged('its data cannot be inflated', error) : error;
  }
  if (bytes !== entry.bytes || crc !== entry.crc) throw damaged('a file is not what its checksum says');
};
