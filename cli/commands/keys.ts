import { Command } from 'commander';
import type { OrgKey } from '../../schema/org-key.ts';
import { confirm } from '../client/confirm.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { withExamples } from '../output/command-help.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { renderTable } from '../output/table.ts';
import { print, say } from '../output/talk.ts';
import { formatAge } from '../output/units.ts';

const list = async ({ format, ...connection }: ConnectionOptions & { format: Format }): Promise<void> => {
  const { api, path } = openSession(connection);
  const { keys } = await api.get<{ keys: OrgKey[] }>(`${path}/keys`);
  if (format === 'json') return print(JSON.stringify({ keys }, undefined, 2));
  if (format === 'name') return print(keys.map(({ id }) => id).join('\n'));
  if (keys.length === 0) return say('There is no key yet: the first document that is kept makes one.');
  const now = new Date();
  const rows = keys.map(({ id, state, createdAt, contents }) => [id, state, formatAge(createdAt, now), String(contents)]);
  print(renderTable(['KEY', 'STATE', 'AGE', 'DOCUMENTS'], rows));
};

const rotate = async (connection: ConnectionOptions): Promise<void> => {
  const { api, path } = openSession(connection);
  const { id } = await api.post<{ id: string }>(`${path}/keys/rotate`);
  print(id);
  say('What is kept from now on is sealed with it; the rest is sealed anew in the background (`quarterdeck keys ls`).');
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
          .addOption(formatOption(['table', 'json', 'name']))
          .action(list),
        [['quarterdeck keys ls', 'the active one is the newest']],
      ),
    )
    .addCommand(
      withExamples(
        connectedCommand('rotate').description('Make a new key; what was sealed before is sealed anew in the background').action(rotate),
        [['quarterdeck keys rotate', 'nothing stops meanwhile, and everything can be read']],
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
