import type { Dispatcher } from 'undici';
import { PlatformError } from '../schema/errors.ts';

const mostBytes = 16 * 1024 * 1024;

/** Reads an HTTP answer whole. @throws {PlatformError} `result_too_large` past 16 MiB */
export const readBody = async (body: Dispatcher.ResponseData['body']): Promise<string> => {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > mostBytes) {
      body.destroy();
      throw new PlatformError('result_too_large', 'The answer is larger than 16 MiB; ask for less.');
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
};
