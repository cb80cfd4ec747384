import { Command } from 'commander';
import type { SigningKeyState } from '../../schema/signing-key.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { withExamples } from '../output/command-help.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { renderTable } from '../output/table.ts';
import { print } from '../output/talk.ts';

type Listed = { kid: string; state: SigningKeyState; madeAt: string; signsFrom: string; refusedFrom: string | null };

const list = async ({ format, ...connection }: ConnectionOptions & { format: Format }): Promise<void> => {
  const { keys } = await openSession(connection).api.get<{ keys: Listed[] }>('/signing-keys');
  if (format === 'json') return print(JSON.stringify({ keys }, undefined, 2));
  if (format === 'name') return print(keys.map(({ kid }) => kid).join('\n'));
  print(
    renderTable(
      ['KEY', 'STATE', 'SIGNS FROM', 'REFUSED FROM'],
      keys.map(({ kid, state, signsFrom, refusedFrom }) => [kid, state, signsFrom, refusedFrom ?? '']),
    ),
  );
};

const rotate = async (connection: ConnectionOptions): Promise<void> => {
  const { kid, signsFrom } = await openSession(connection).api.post<{ kid: string; signsFrom: string }>('/signing-keys/rotate');
  print(`${kid} signs from ${signsFrom}; the key before it verifies until its last token has ended`);
};

const deny = async (kid: string, connection: ConnectionOptions): Promise<void> => {
  await openSession(connection).api.post(`/signing-keys/${encodeURIComponent(kid)}/deny`);
  print(`${kid} is denied: within five seconds every token that it signed is refused, and the next key signs`);
};

export const tokenKeysCommand = (): Command =>
  new Command('keys')
    .description('The keys that tokens are signed with: they rotate by themselves, and are never shown')
    .addCommand(
      withExamples(
        connectedCommand('ls')
          .description('List the keys there are, and what each is good for')
          .addOption(formatOption(['table', 'json', 'name']))
          .action(list),
        [['quarterdeck token keys ls', 'which one signs, which is next, until when the others verify']],
      ),
    )
    .addCommand(
      withExamples(connectedCommand('rotate').description('Let the next key sign before its turn; no call fails by it').action(rotate), [
        ['quarterdeck token keys rotate', 'at once, or as soon as everybody has read the next key'],
      ]),
    )
    .addCommand(
      withExamples(
        connectedCommand('deny')
          .description('Refuse a key that somebody else may have: all tokens that it signed end, and new ones are asked for')
          .argument('<key>', 'id, as `token keys ls` has it')
          .action(deny),
        [['quarterdeck token keys deny KEY', 'in force within five seconds']],
      ),
    );
