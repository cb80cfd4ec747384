import type { Readable } from 'node:stream';

/** Reads a body up to a size; what is longer is cut off there, and the rest is not fetched. */
export const readAtMost = async (body: Readable, mostBytes: number): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    // leaving the loop destroys the body
    if (size >= mostBytes) break;
  }
  return Buffer.concat(chunks).subarray(0, mostBytes);
};
