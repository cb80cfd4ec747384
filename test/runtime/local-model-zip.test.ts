import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { extractZipEntry } from '../../runtime/local-model/extract-zip-entry.ts';
import { zipOf } from '../support/zip-file.ts';

describe('unpacking one file of a zip archive', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'local-model-zip-'));
  });
  afterAll(() => rm(directory, { recursive: true }));

  const unpack = async (archive: Buffer, entry: string): Promise<Buffer> => {
    await writeFile(join(directory, 'archive'), archive);
    await extractZipEntry(join(directory, 'archive'), entry, join(directory, 'file'));
    return readFile(join(directory, 'file'));
  };
  const content = Buffer.from('some text that repeats itself, '.repeat(5_000));
  const files = { empty: Buffer.alloc(0), 'a/b.txt': content, 'ä.bin': Buffer.from([1, 2, 3]) };

  test.for([false, true])('gives the content back, stored: %s', async (isStored) => {
    const archive = zipOf(files, { isStored });
    for (const [name, bytes] of Object.entries(files)) expect(await unpack(archive, name)).toEqual(bytes);
    const withComment = Buffer.concat([archive, Buffer.from('a comment')]);
    withComment.writeUInt16LE(9, archive.length - 2);
    expect(await unpack(withComment, 'a/b.txt')).toEqual(content);
  });

  const archive = zipOf(files);
  const changed = (at: number, value: number): Buffer => {
    const copy = Buffer.from(archive);
    copy[at] = value;
    return copy;
  };
  const directoryAt = archive.indexOf('PK\x01\x02');
  const entryAt = archive.lastIndexOf('a/b.txt') - 46; // its record in the directory
  const dataAt = archive.indexOf('a/b.txt') + 7;
  test.for<[string, Buffer, RegExp]>([
    ['no archive', Buffer.from('<html>not found</html>'), /no directory/],
    ['nothing', Buffer.alloc(0), /no directory/],
    ['an archive without its end', archive.subarray(0, archive.length - 1), /no directory/],
    [
      'an archive without its middle',
      Buffer.concat([archive.subarray(0, 60), archive.subarray(directoryAt)]),
      /points outside itself|no file/,
    ],
    ['an archive without the file', zipOf({ other: content }), /no file a\/b\.txt/],
    ['another checksum', changed(entryAt + 16, 0xff ^ (archive[entryAt + 16] as number)), /checksum/],
    ['another length', changed(entryAt + 24, 0), /longer than declared|checksum/],
    ['an unknown packing', changed(entryAt + 10, 12), /packing method 12/],
    ['a false place', changed(entryAt + 42, 1), /does not begin where it should/],
    ['damaged data', changed(dataAt, 0xff), /cannot be inflated|checksum/],
  ])('refuses %s', async ([, damaged, message]) => {
    await expect(unpack(damaged, 'a/b.txt')).rejects.toThrow(
      expect.objectContaining({ code: 'model_unavailable', message: expect.stringMatching(message) }),
    );
  });
});
