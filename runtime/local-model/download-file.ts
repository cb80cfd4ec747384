import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Dispatcher } from 'undici';
import { fetch } from 'undici';
import { PlatformError } from '../../schema/errors.ts';
import { type IndexFile, reasonOf } from './python-index.ts';

/** What a file must be. */
export type Pin = { fileName: string; bytes: number; sha256: string };

/**
 * Downloads a file to `path`, which is not to be used before this returns: until then it may be cut or false.
 * @param onBytes - told how many bytes have arrived
 * @throws {PlatformError} `model_unavailable`: no answer, a cut download, or another content than the pinned one
 */
export const downloadFile = async (
  { url, authorization }: IndexFile,
  { path, pin, onBytes }: { path: string; pin: Pin; onBytes: (received: number) => void },
  { dispatcher, signal }: { dispatcher?: Dispatcher; signal?: AbortSignal } = {},
): Promise<void> => {
  const failed = (what: string, cause?: unknown): PlatformError =>
    new PlatformError('model_unavailable', `The download of ${pin.fileName} from ${url.origin} ${what}. Try again.`, { cause });
  try {
    const response = await fetch(url, { headers: authorization === undefined ? {} : { authorization }, signal, dispatcher });
    if (!response.ok || response.body === null) throw failed(`is answered with ${response.status}`);
    const counted = async function* (source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      let received = 0;
      for await (const chunk of source) {
        received += chunk.byteLength;
        // An endless answer would fill the disk before the digest is looked at.
        if (received > pin.bytes) throw failed(`is longer than the ${pin.bytes} bytes it should have`);
        onBytes(received);
        yield chunk;
      }
      if (received < pin.bytes) throw failed(`ended after ${received} of ${pin.bytes} bytes`);
    };
    await pipeline(response.body, counted, createWriteStream(path), { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error instanceof PlatformError ? error : failed(`broke off (${reasonOf(error)})`, error);
  }
  await checkDigest(path, pin);
};

/** @throws {PlatformError} `model_unavailable` when the file is another than the pinned one */
export const checkDigest = async (path: string, pin: Pin): Promise<void> => {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  const found = hash.digest('hex');
  if (found === pin.sha256) return;
  throw new PlatformError(
    'model_unavailable',
    `The package index gave another ${pin.fileName} than the pinned one (sha256 ${found}, expected ${pin.sha256}). It was discarded; ask who runs the index.`,
  );
};
