import { Command } from 'commander';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { withExamples } from '../output/command-help.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { renderTable } from '../output/table.ts';
import { print } from '../output/talk.ts';
import { formatAge } from '../output/units.ts';

type Listed = { id: string; groups: string[]; roles: string[]; disabled: boolean; issuer: string | null; lastLoginAt: string | null };

const list = async ({ format, ...connection }: ConnectionOptions & { format: Format }): Promise<void> => {
  const { api, path } = openSession(connection);
  const { people } = await api.get<{ people: Listed[] }>(`${path}/people`);
  if (format === 'json') return print(JSON.stringify({ people }, undefined, 2));
  if (format === 'name') return print(people.map(({ id }) => id).join('\n'));
  const now = new Date();
  print(
    renderTable(
      ['PERSON', 'GROUPS', 'ROLES', 'VOUCHED FOR BY', 'LAST LOGIN', 'SHUT OUT'],
      people.map(({ id, groups, roles, issuer, lastLoginAt, disabled }) => [
        id,
        groups.join(','),
        roles.join(','),
        issuer ?? '',
        lastLoginAt === null ? '' : `${formatAge(lastLoginAt, now)} ago`,
        disabled ? 'yes' : '',
      ]),
    ),
  );
};

const change =
  (action: 'disable' | 'enable') =>
  async (id: string, connection: ConnectionOptions): Promise<void> => {
    const { api, path } = openSession(connection);
    await api.post(`${path}/people/${encodeURIComponent(id)}/${action}`);
    print(action === 'disable' ? `${id} is shut out; their logins have ended` : `${id} may log in again`);
  };

export const peopleCommand = (): Command =>
  new Command('people')
    .description('The people of the org: who has logged in, and who is shut out')
    .addCommand(
      withExamples(
        connectedCommand('ls')
          .description('List the people there are')
          .addOption(formatOption(['table', 'json', 'name']))
          .action(list),
        [['quarterdeck people ls', 'with their groups, and when they last logged in']],
      ),
    )
    .addCommand(
      withExamples(
        connectedCommand('disable')
          .description('Shut a person out: their logins end, and they are refused everywhere within five seconds')
          .argument('<person>', 'id, as `people ls` has it')
          .action(change('disable')),
        [['quarterdeck people disable bob-0123456789abcdef', 'nothing of theirs is deleted']],
      ),
    )
    .addCommand(
      withExamples(
        connectedCommand('enable')
          .description('Let a person in again, who then logs in anew')
          .argument('<person>', 'id, as `people ls` has it')
          .action(change('enable')),
        [['quarterdeck people enable bob-0123456789abcdef', 'their old tokens stay ended']],
      ),
    );
