import type { Command } from 'commander';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { withExamples } from '../output/command-help.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { renderTable } from '../output/table.ts';
import { print } from '../output/talk.ts';
import { formatAge } from '../output/units.ts';

type Who = { org: string; id: string; groups: string[]; roles: string[]; stamp: string; login?: { ageSeconds: number; level: number } };

const whoami = async ({ format, ...connection }: ConnectionOptions & { format: Format }): Promise<void> => {
  const { api, platform } = openSession(connection);
  const who = await api.get<Who>('/whoami');
  if (format === 'json') return print(JSON.stringify({ ...who, url: platform.url }, undefined, 2));
  if (format === 'name') return print(who.id);
  print(
    renderTable(
      ['PERSON', 'ORG', 'ROLES', 'GROUPS', 'BY', 'LOGGED IN', 'PLATFORM'],
      [
        [
          who.id,
          who.org,
          who.roles.join(','),
          who.groups.join(','),
          who.stamp,
          who.login ? `${formatAge(new Date(Date.now() - who.login.ageSeconds * 1000).toISOString(), new Date())} ago` : '',
          platform.url,
        ],
      ],
    ),
  );
};

export const whoamiCommand = (): Command =>
  withExamples(
    connectedCommand('whoami')
      .description('Show who you are to the platform, and which platform that is')
      .addOption(formatOption(['table', 'json', 'name']))
      .action(whoami),
    [
      ['quarterdeck whoami', 'the person of the data folder, or of QUARTERDECK_TOKEN'],
      ['quarterdeck whoami --as reviewer', 'the second person of the profile dev'],
    ],
  );
