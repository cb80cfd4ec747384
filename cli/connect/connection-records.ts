import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { writePrivateFile } from '../up/write-private-file.ts';

const TextEditSchema = z.object({ offset: z.int(), length: z.int(), content: z.string() });

/** What `connect` did to a file, so that `disconnect` can undo exactly that. `digest` is that of the file as it left it. */
const ConnectionRecordSchema = z.object({
  client: z.string(),
  name: z.string(),
  path: z.string(),
  digest: z.string(),
  undo: z.array(TextEditSchema),
  /** The file was not there before. */
  isNew: z.boolean(),
  madeFolders: z.array(z.string()),
});
export type ConnectionRecord = z.infer<typeof ConnectionRecordSchema>;

type Key = Pick<ConnectionRecord, 'client' | 'name' | 'path'>;

export const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');

const isOf =
  ({ client, name, path }: Key) =>
  (record: Key): boolean =>
    record.client === client && record.name === name && record.path === path;

/** The records of a data folder. Without one a connection can be taken out all the same, only not to the last space. */
export const connectionRecordsAt = (dataDirectory: string) => {
  const file = join(dataDirectory, 'connections.json');
  const readAll = (): ConnectionRecord[] => {
    try {
      return z.array(ConnectionRecordSchema).parse(JSON.parse(readFileSync(file, 'utf8')));
    } catch {
      return [];
    }
  };
  const writeAll = (records: ConnectionRecord[]): void => {
    mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
    writePrivateFile(file, `${JSON.stringify(records, undefined, 2)}\n`);
  };
  return {
    find: (key: Key): ConnectionRecord | undefined => readAll().find(isOf(key)),
    keep: (record: ConnectionRecord): void => writeAll([...readAll().filter((each) => !isOf(record)(each)), record]),
    forget: (key: Key): void => {
      const records = readAll();
      const others = records.filter((each) => !isOf(key)(each));
      if (others.length < records.length) writeAll(others);
    },
  };
};
export type ConnectionRecords = ReturnType<typeof connectionRecordsAt>;
