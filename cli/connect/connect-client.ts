import { isDeepStrictEqual } from 'node:util';
import { CliError } from '../output/cli-error.ts';
import type { Client, Places, Route, Scope } from './client-table.ts';
import { readConfigFile, writeConfigFile } from './config-file.ts';
import { findAddition } from './config-format.ts';
import { type ConnectionRecords, digestOf } from './connection-records.ts';
import { planEdits } from './plan-edits.ts';
import { routeOfEntry } from './route-of-entry.ts';
import { applyEdits, undoOf } from './text-edit.ts';

/** A connection of one client, by the name that its server has there. */
export type Connection = { client: Client; scope: Scope; name: string; places: Places; records: ConnectionRecords };

/** What connecting would do to which file; `write` does it. */
export type ConnectPlan = { what: 'none' | 'add' | 'replace'; path: string; write(): Promise<void> };

/**
 * Plans a client's entry for the gateway. All that is not ours stays as it is, byte by byte.
 * @throws {CliError} when the file cannot be read or changed safely, or something else has that name
 */
export const planConnect = async ({ client, scope, name, places, records }: Connection, route: Route): Promise<ConnectPlan> => {
  const file = await readConfigFile(client.fileOf(scope, places));
  const { path, text = '' } = file;
  const additions = client.additions(name, route);
  const [server] = additions;
  const data = client.format.read(text, path);
  const present = server && findAddition(data, server);
  const key = { client: client.name, name, path };
  const record = records.find(key);

  const isThere = additions.every((addition) => findAddition(data, addition) !== undefined) && isDeepStrictEqual(present, server?.value);
  if (isThere) return { what: 'none', path, write: async () => undefined };
  if (present !== undefined && !record && !routeOfEntry(client, name, present))
    throw new CliError(`${path} has another server named ${name}`, { code: 'conflict', next: 'choose another name with --name' });

  // Its place in the file is free again before the new one is put in.
  const isAsWritten = record?.digest === digestOf(text);
  const old = server && present !== undefined ? [server] : [];
  const base = isAsWritten
    ? applyEdits(text, record.undo)
    : applyEdits(text, planEdits(client.format, { text, file: path }, 'remove', old));
  const edits = planEdits(client.format, { text: base, file: path }, 'add', additions);
  const next = applyEdits(base, edits);
  const write = async (): Promise<void> => {
    const made = await writeConfigFile(file, next, scope === 'user' ? 0o600 : 0o644);
    records.keep({
      ...key,
      digest: digestOf(next),
      undo: undoOf(base, edits),
      isNew: file.bytes === undefined || (isAsWritten && record.isNew),
      madeFolders: made.length === 0 && isAsWritten ? record.madeFolders : made,
    });
  };
  return { what: present === undefined ? 'add' : 'replace', path, write };
};
