import { isDeepStrictEqual } from 'node:util';
import { CliError } from '../output/cli-error.ts';
import { deleteConfigFile, readConfigFile, writeConfigFile } from './config-file.ts';
import { type Addition, findAddition } from './config-format.ts';
import type { Connection } from './connect-client.ts';
import { digestOf } from './connection-records.ts';
import { planEdits } from './plan-edits.ts';
import { routeOfEntry } from './route-of-entry.ts';
import { applyEdits } from './text-edit.ts';

/** What disconnecting would do; `write` does it. */
export type DisconnectPlan = { what: 'none' | 'remove'; path: string; write(): Promise<void> };

/** A route of no meaning: what a client writes beside its servers is the same for each. */
const anyRoute = { kind: 'http', url: '', tokenVariable: '' } as const;

/**
 * Plans to take a client's entry out again. A file that is as `connect` left it becomes what it was, to the byte, or goes if it was not
 * there; from any other the entry alone is cut out.
 * @throws {CliError} when the file cannot be read or changed safely, or the entry is not one of ours
 */
export const planDisconnect = async ({ client, scope, name, places, records }: Connection): Promise<DisconnectPlan> => {
  const file = await readConfigFile(client.fileOf(scope, places));
  const { path, text = '' } = file;
  const key = { client: client.name, name, path };
  const record = records.find(key);
  const [server, ...others] = client.additions(name, anyRoute) as [Addition, ...Addition[]];
  const data = client.format.read(text, path);
  const present = findAddition(data, server);

  if (present === undefined) return { what: 'none', path, write: async () => records.forget(key) };
  if (record?.digest === digestOf(text)) {
    const write = async (): Promise<void> => {
      if (record.isNew) await deleteConfigFile(file, record.madeFolders);
      else await writeConfigFile(file, applyEdits(text, record.undo), 0o600);
      records.forget(key);
    };
    return { what: 'remove', path, write };
  }
  if (!record && !routeOfEntry(client, name, present))
    throw new CliError(`${name} in ${path} is not what \`quarterdeck connect\` writes, so it stays`, { next: 'take it out yourself' });

  const withoutServer = applyEdits(text, planEdits(client.format, { text, file: path }, 'remove', [server]));
  // What servers share goes with the last of them, and only as we wrote it.
  const unused = others.filter(
    (other) => isDeepStrictEqual(findAddition(data, other), other.value) && !withoutServer.includes(`\${input:${other.name}}`),
  );
  const next = applyEdits(withoutServer, planEdits(client.format, { text: withoutServer, file: path }, 'remove', unused));
  const write = async (): Promise<void> => {
    await writeConfigFile(file, next, 0o600);
    records.forget(key);
  };
  return { what: 'remove', path, write };
};
