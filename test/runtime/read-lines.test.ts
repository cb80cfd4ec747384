import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readLines } from '../../runtime/stdio/read-lines.ts';

const collect = (chunks: Buffer[], maximumBytes: number) => {
  const stream = new PassThrough();
  const lines: string[] = [];
  const oversize: { head: string; tail: string }[] = [];
  readLines(stream, maximumBytes, { onLine: (line) => lines.push(line), onOversize: (ends) => oversize.push(ends) });
  for (const chunk of chunks) stream.emit('data', chunk);
  return { lines, oversize };
};

test('finds the same lines however the bytes are cut, also inside a character', () => {
  const wellFormed = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\n', ' '));
  fc.assert(
    fc.property(fc.array(wellFormed), fc.array(fc.nat(40)), (lines, cuts) => {
      let rest = Buffer.from(lines.map((line) => `${line}\n`).join(''));
      const chunks: Buffer[] = [];
      for (const cut of cuts) {
        chunks.push(rest.subarray(0, cut));
        rest = rest.subarray(cut);
      }
      expect(collect([...chunks, rest], 10_000).lines).toEqual(lines.filter((line) => line !== ''));
    }),
  );
});

test('keeps only the ends of a line over the cap, and reads on after it', () => {
  const long = `{"head":1,${'x'.repeat(5_000)}"id":7}`;
  const bytes = Buffer.from(`${long}\nnext\n`);
  for (const size of [1, 7, 64, 999, 10_000]) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size));
    const { lines, oversize } = collect(chunks, 1_000);
    expect(lines).toEqual(['next']);
    expect(oversize).toEqual([{ head: long.slice(0, 256), tail: long.slice(-256) }]);
  }
});

test('takes a line of exactly the cap', () => {
  expect(collect([Buffer.from(`${'x'.repeat(100)}\n`)], 100)).toEqual({ lines: ['x'.repeat(100)], oversize: [] });
});
