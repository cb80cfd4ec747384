import { originalKey, type RootKeyVersion, type RootName, RootNameSchema } from '../../schema/seal-key.ts';
import { addVersion, dropVersion, putFirst } from '../../store/secrets/root-key.ts';
import { type ConnectionOptions, openSession } from '../client/session.ts';
import { readConfig } from '../config.ts';
import { usageError } from '../output/cli-error.ts';
import { renderTable } from '../output/table.ts';
import { print, say } from '../output/talk.ts';
import { dataFolderAt } from '../up/data-folder.ts';
import { changeRootKey } from '../up/keys.ts';

/** By which things are found: these keys stay when the version goes that they were made from. */
const namesFrom: Readonly<Record<RootName, readonly string[]>> = {
  'content.key': ['content', 'audit/audit-people', 'audit/audit-arguments'],
  'gateway.key': ['mcp-cursors', 'mcp-state', 'mcp-session', 'operations', 'upstream-sessions'],
  'issuer.key': [],
};

const variables = {
  'content.key': 'QUARTERDECK_CONTENT_KEY',
  'gateway.key': 'QUARTERDECK_GATEWAY_KEY',
  'issuer.key': 'QUARTERDECK_ISSUER_KEY',
} as const;

const folderOf = (name: RootName, { data }: Pick<ConnectionOptions, 'data'>) => {
  const config = readConfig();
  const variable = variables[name];
  if (config.references[variable])
    throw usageError(
      `${name} is where ${variable} leads, and not in a data folder`,
      'change it there: a line for each version, `ID:BASE64` with an id of 16 hexadecimal digits and 32 bytes',
    );
  return dataFolderAt(data ?? config.dataDirectory);
};

/** @returns the name, where it is one of a key that wraps others */
export const rootNameOf = (name: string | undefined): RootName | undefined => RootNameSchema.safeParse(name).data;

/** Keys that wrap others, with what stands on each version. */
export const rootKeyTable = (versions: readonly RootKeyVersion[]): string =>
  renderTable(
    ['WRAPS', 'STATE', 'STANDS ON IT', 'MADE FROM IT'],
    versions.map(({ name, id, state, wraps, needed }) => [`${name}/${id}`, state, String(wraps), needed.join(', ') || '-']),
  );

/**
 * Adds a version to the file of a key that wraps others, in the data folder of this machine; a running platform takes it up within seconds.
 * @param options.announce - it is known from then on, and wraps once `use` names it: for those that run elsewhere
 */
export const rotateRootKey = async (
  name: RootName,
  { announce = false, use, ...connection }: Pick<ConnectionOptions, 'data'> & { announce?: boolean; use?: string },
): Promise<void> => {
  const folder = folderOf(name, connection);
  if (use !== undefined) {
    changeRootKey(folder, name, (root) => {
      if (!root.versions.some(({ id }) => (id ?? originalKey) === use))
        throw usageError(`there is no version ${name}/${use}`, 'announce one first: `quarterdeck keys rotate NAME --announce`');
      return putFirst(root, use === originalKey ? undefined : use);
    });
    print(`${name}/${use}`);
    say('It wraps in a few seconds, where the platform runs; else from its start on.');
    return;
  }
  let made = '';
  changeRootKey(folder, name, (root) => {
    const { root: changed, id } = addVersion(root, announce ? 'second' : 'first');
    made = id;
    return changed;
  });
  print(`${name}/${made}`);
  say(
    announce
      ? `It is known in a few seconds where the platform runs; then \`quarterdeck keys rotate ${name} --use ${made}\`.`
      : 'It wraps in a few seconds, where the platform runs, and what others have wrapped is wrapped anew; else from its start on.',
  );
};

const obstacleTo = ({ state, wraps, needed }: RootKeyVersion): string | undefined => {
  if (state === 'wraps') return 'it is the one that wraps';
  if (wraps > 0) return `${wraps} keys or codes still stand on it`;
  if (needed.length > 0) return `${needed.join(' and ')} is made from it: rotate and retire that first`;
  return undefined;
};

/** Takes a version out of its file, once the running platform says that nothing needs it. */
export const retireRootKey = async (name: RootName, id: string, connection: ConnectionOptions): Promise<void> => {
  const { api, path } = openSession(connection);
  const { rootKeys } = await api.get<{ rootKeys: RootKeyVersion[] }>(`${path}/seal-keys`);
  const version = rootKeys.find((each) => each.name === name && each.id === id);
  if (!version) throw usageError(`there is no version ${name}/${id}`, '`quarterdeck keys ls --installation` lists them');
  const obstacle = obstacleTo(version);
  if (obstacle !== undefined) throw usageError(`${name}/${id} cannot be retired: ${obstacle}`);
  changeRootKey(folderOf(name, connection), name, (root) => dropVersion(root, id === originalKey ? undefined : id, namesFrom[name]));
  print(`${name}/${id} retired`);
  say('It is out of the file; backups of the folder of keys still hold it. Running processes forget it in a few seconds.');
};
