import { Command } from 'commander';
import type { OrgKey } from '../../schema/org-key.ts';
import { RetireSealKeySchema, type RootKeyVersion, RootNameSchema, SealedNameSchema, type SealKey } from '../../schema/seal-key.ts';
import { confirm } from '../client/confirm.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { usageError } from '../output/cli-error.ts';
import { withExamples } from '../output/command-help.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { renderTable } from '../output/table.ts';
import { print, say } from '../output/talk.ts';
import { formatAge } from '../output/units.ts';
import { retireRootKey, rootKeyTable, rootNameOf, rotateRootKey } from './root-keys.ts';

const nothing = '-';
/** Keys of the installation: a name and an id, as `keys retire` takes them. */
const listSealKeys = (keys: readonly SealKey[], now: Date): string =>
  renderTable(
    ['KEY', 'STATE', 'AGE', 'REPLACED', 'ROWS'],
    keys.map(({ name, id, state, madeAt, replacedAt, rows, isEstimate }) => [
      `${name}/${id}`,
      state,
      madeAt === null ? nothing : formatAge(madeAt, now),
      replacedAt === null ? nothing : formatAge(replacedAt, now),
      `${isEstimate ? '~' : ''}${rows}`,
    ]),
  );

const list = async ({
  format,
  installation,
  ...connection
}: ConnectionOptions & { format: Format; installation?: boolean }): Promise<void> => {
  const { api, path } = openSession(connection);
  if (installation) {
    const { keys, rootKeys } = await api.get<{ keys: SealKey[]; rootKeys: RootKeyVersion[] }>(`${path}/seal-keys`);
    if (format === 'json') return print(JSON.stringify({ keys, rootKeys }, undefined, 2));
    if (format === 'name') return print([...keys, ...rootKeys].map(({ name, id }) => `${name}/${id}`).join('\n'));
    print(listSealKeys(keys, new Date()));
    return print(`\n${rootKeyTable(rootKeys)}`);
  }
  const { keys } = await api.get<{ keys: OrgKey[] }>(`${path}/keys`);
  if (format === 'json') return print(JSON.stringify({ keys }, undefined, 2));
  if (format === 'name') return print(keys.map(({ id }) => id).join('\n'));
  if (keys.length === 0) return say('There is no key yet: the first document that is kept makes one.');
  const now = new Date();
  const rows = keys.map(({ id, state, createdAt, contents }) => [id, state, formatAge(createdAt, now), String(contents)]);
  print(renderTable(['KEY', 'STATE', 'AGE', 'DOCUMENTS'], rows));
};

type RotateOptions = ConnectionOptions & { all?: boolean; announce?: boolean; use?: string };

const rotate = async (name: string | undefined, { all = false, announce, use, ...connection }: RotateOptions): Promise<void> => {
  const root = rootNameOf(name);
  if (root) return rotateRootKey(root, { ...connection, ...(announce ? { announce } : {}), ...(use === undefined ? {} : { use }) });
  if (announce || use !== undefined) throw usageError(`--announce and --use are for ${RootNameSchema.options.join(', ')}`);
  const { api, path } = openSession(connection);
  if (name !== undefined && !SealedNameSchema.safeParse(name).success)
    throw usageError(
      `there are no keys called ${name}`,
      `name one of ${[...SealedNameSchema.options, ...RootNameSchema.options].join(', ')}, or none for those of the org`,
    );
  if (name !== undefined || all) {
    const names = all ? SealedNameSchema.options : [name];
    const { keys } = await api.post<{ keys: { name: string; id: string }[] }>(`${path}/seal-keys/rotate`, { names });
    print(keys.map((key) => `${key.name}/${key.id}`).join('\n'));
    say('They seal what comes in a few seconds; the rest is sealed anew in the background (`quarterdeck keys ls --installation`).');
    if (!all) return;
  }
  const { id } = await api.post<{ id: string }>(`${path}/keys/rotate`);
  print(id);
  say('What is kept from now on is sealed with it; the rest is sealed anew in the background (`quarterdeck keys ls`).');
};

const retire = async (key: string, connection: ConnectionOptions): Promise<void> => {
  const [name, id] = key.split('/');
  const root = rootNameOf(name);
  if (root) return retireRootKey(root, id ?? '', connection);
  const { api, path } = openSession(connection);
  const asked = RetireSealKeySchema.safeParse({ name, id });
  if (!asked.success)
    throw usageError(`${key} is no key`, 'give a name and an id as `quarterdeck keys ls --installation -o name` lists them');
  await api.post(`${path}/seal-keys/retire`, asked.data);
  print(`${key} retired`);
};

const shred = async (org: string, { yes, ...connection }: ConnectionOptions & { yes?: boolean }): Promise<void> => {
  const { api, path } = openSession({ ...connection, org });
  if (!yes)
    await confirm(
      `Destroy all keys of ${org}? Every transcript, result and document of it is unreadable from then on, for good.`,
      `There is no terminal to ask at: add --yes to destroy the keys of ${org}`,
    );
  const { destroyed } = await api.post<{ destroyed: string[] }>(`${path}/keys/shred`, { confirm: org });
  print(`${destroyed.length} ${destroyed.length === 1 ? 'key' : 'keys'} of ${org} destroyed`);
};

export const keysCommand = (): Command =>
  new Command('keys')
    .description('The keys that transcripts, results and documents of an org are sealed with')
    .addCommand(
      withExamples(
        connectedCommand('ls')
          .description('List the keys of the org, and how much each seals')
          .option('--installation', 'the keys that everything else is sealed with, and how many rows stand on each')
          .addOption(formatOption(['table', 'json', 'name']))
          .action(list),
        [
          ['quarterdeck keys ls', 'the active one is the newest'],
          ['quarterdeck keys ls --installation', 'of the gateway, of approvals, of pseudonyms, of grants'],
        ],
      ),
    )
    .addCommand(
      withExamples(
        connectedCommand('rotate')
          .description('Make a new key; what was sealed before is sealed anew in the background')
          .argument(
            '[name]',
            `whose: ${SealedNameSchema.options.join(', ')}, or ${RootNameSchema.options.join(', ')}; without it the org's`,
          )
          .option('--all', "the org's and all of the installation")
          .option('--announce', 'of a key that wraps others: make it known before it wraps')
          .option('--use <id>', 'of a key that wraps others: let a version wrap that is known')
          .action(rotate),
        [
          ['quarterdeck keys rotate', 'nothing stops meanwhile, and everything can be read'],
          ['quarterdeck keys rotate grants', 'what people granted at MCP servers'],
          ['quarterdeck keys rotate content.key', 'what the keys of orgs are wrapped by; in the data folder of this machine'],
        ],
      ),
    )
    .addCommand(
      withExamples(
        connectedCommand('retire')
          .description('Destroy a key of the installation on which nothing stands any more')
          .argument('<key>', 'its name and id')
          .action(retire),
        [['quarterdeck keys retire grants/0123456789abcdef', 'refused as long as a row needs it']],
      ),
    )
    .addCommand(
      withExamples(
        connectedCommand('shred')
          .description('Destroy all keys of an org: what they sealed is unreadable for good')
          .argument('<org>', 'its name')
          .option('-y, --yes', 'do not ask')
          .action(shred),
        [['quarterdeck keys shred acme', 'asks first']],
      ),
    );
