import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { PacedWriter } from '../../gateway/edge/paced-writer.ts';

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;

/** A response whose reader takes nothing: what is handed to it is all that Node would hold. */
const startStalled = () => {
  const state = { taken: 0, isDestroyed: false };
  const response = Object.assign(new EventEmitter(), {
    write: (piece: string | Buffer): boolean => {
      state.taken += piece.length;
      return false;
    },
    end: () => undefined,
    destroy: () => {
      state.isDestroyed = true;
    },
  });
  return { state, writer: new PacedWriter(response as unknown as ServerResponse) };
};

test.each([100, 16 * kibibyte, 60 * kibibyte])(
  'at most 1 MiB waits for a reader that takes nothing, beside the message that is too much: messages of %s bytes',
  (bytes) => {
    const { state, writer } = startStalled();
    let written = 0;
    while (!state.isDestroyed && written < 64 * mebibyte) {
      void writer.write('x'.repeat(bytes));
      if (!state.isDestroyed) written += bytes;
    }
    expect(state.isDestroyed).toBe(true);
    expect(state.taken).toBeLessThanOrEqual(64 * kibibyte);
    expect(written - state.taken).toBeGreaterThan(mebibyte / 2);
    expect(written - state.taken).toBeLessThanOrEqual(mebibyte + bytes);
  },
);
