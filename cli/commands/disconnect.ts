import type { Command } from 'commander';
import { readConfig } from '../config.ts';
import { type ClientOptions, clientCommand, connectionOf } from '../connect/client-options.ts';
import { confirm } from '../connect/confirm.ts';
import { planDisconnect } from '../connect/disconnect-client.ts';
import { withExamples } from '../output/command-help.ts';
import { print } from '../output/talk.ts';

const disconnect = async (clientName: string, options: ClientOptions): Promise<void> => {
  const connection = connectionOf(readConfig(), clientName, options);
  const { client, name } = connection;
  const plan = await planDisconnect(connection);
  if (plan.what === 'remove') await confirm(`Take ${name} out of ${plan.path}?`, options.yes);
  await plan.write();
  const action = plan.what === 'remove' ? 'disconnected' : 'not connected';
  if (options.format === 'json') return print(JSON.stringify({ client: client.name, server: name, path: plan.path, action }, undefined, 2));
  print(`${client.title} ${action}: ${name} ${plan.what === 'remove' ? 'was taken out of' : 'is not in'} ${plan.path}`);
};

export const disconnectCommand = (): Command =>
  withExamples(
    clientCommand('disconnect', true)
      .description('Take out what connect wrote: a file that nobody changed since becomes what it was, to the byte')
      .action(disconnect),
    [
      ['quarterdeck disconnect claude-code', 'the entry of `connect claude-code`'],
      ['quarterdeck disconnect vscode --toolset docs --scope project', 'by the same options that it was written with'],
    ],
  );
