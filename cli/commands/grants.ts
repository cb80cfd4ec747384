import { Command } from 'commander';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { withExamples } from '../output/command-help.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { renderTable } from '../output/table.ts';
import { print } from '../output/talk.ts';
import { formatAge } from '../output/units.ts';

type Listed = { server: string; person: string; issuer: string; scopes: string[]; createdAt: string; refreshedAt: string };

const list = async ({ format, all, ...connection }: ConnectionOptions & { format: Format; all?: boolean }): Promise<void> => {
  const { api, path } = openSession(connection);
  const { grants } = await api.get<{ grants: Listed[] }>(`${path}/grants${all ? '?all' : ''}`);
  if (format === 'json') return print(JSON.stringify({ grants }, undefined, 2));
  if (format === 'name') return print(grants.map(({ server }) => server).join('\n'));
  const now = new Date();
  print(
    renderTable(
      ['SERVER', 'PERSON', 'ISSUER', 'SCOPES', 'GRANTED', 'RENEWED'],
      grants.map(({ server, person, issuer, scopes, createdAt, refreshedAt }) => [
        server,
        person,
        issuer,
        scopes.join(' '),
        `${formatAge(createdAt, now)} ago`,
        `${formatAge(refreshedAt, now)} ago`,
      ]),
    ),
  );
};

const revoke = async (server: string, { person, ...connection }: ConnectionOptions & { person?: string }): Promise<void> => {
  const { api, path } = openSession(connection);
  await api.delete(`${path}/grants/${encodeURIComponent(server)}${person === undefined ? '' : `?person=${encodeURIComponent(person)}`}`);
  print(`the grant at ${server} is taken back; within ten seconds nothing is sent there with it any more`);
};

export const grantsCommand = (): Command =>
  new Command('grants')
    .description('What you granted at MCP servers that act for each person')
    .addCommand(
      withExamples(
        connectedCommand('ls')
          .description('List your grants')
          .option('--all', 'those of everybody; for administrators')
          .addOption(formatOption(['table', 'json', 'name']))
          .action(list),
        [['quarterdeck grants ls', 'the servers that you have connected, at which issuer and for what']],
      ),
    )
    .addCommand(
      withExamples(
        connectedCommand('revoke')
          .description('Take a grant back, here and at its issuer')
          .argument('<server>', 'name of the MCP server')
          .option('--person <id>', 'whose, if not your own; for administrators')
          .action(revoke),
        [['quarterdeck grants revoke tracker', 'the next call says where to connect the server again']],
      ),
    );
