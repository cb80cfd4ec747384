import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import type { Kind, Resource } from '../../schema/resource.ts';
import { loadDocuments } from '../apply/load-documents.ts';
import { ApiRefusal } from '../client/api-client.ts';
import { readKind, readReference } from '../client/kinds.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { readConfig } from '../config.ts';
import { CliError, usageError } from '../output/cli-error.ts';
import { withExamples } from '../output/command-help.ts';
import { exitCodes } from '../output/exit-codes.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { print, say } from '../output/talk.ts';

type Target = { kind: Kind; name: string; org?: string; project?: string };
type Options = ConnectionOptions & { filename?: string[]; yes?: boolean; format: Format };

/** What uses others goes before what is used. */
const deletionOrder: readonly Kind[] = [
  'AccessBinding',
  'PolicySet',
  'Fleet',
  'AgentRole',
  'Toolset',
  'Model',
  'McpServer',
  'Provider',
  'Project',
];

const targetsOf = async (kind: string | undefined, names: string[], filename: string[] | undefined): Promise<Target[]> => {
  if (filename) {
    if (kind !== undefined) throw usageError('Give either KIND and NAME or -f, not both');
    const targets = (await loadDocuments(readConfig(), filename)).map(({ value }): Target => {
      const { kind, metadata } = value as Resource;
      const { name, org = 'default', project = 'default' } = metadata as Partial<Resource['metadata']> & { name: string };
      return { kind, name, org, project };
    });
    return targets.sort((a, b) => deletionOrder.indexOf(a.kind) - deletionOrder.indexOf(b.kind));
  }
  if (kind === undefined) throw usageError('Say what to delete: KIND NAME, KIND/NAME or -f FILE');
  if (kind.includes('/')) return [kind, ...names].map(readReference);
  if (names.length === 0) throw usageError(`Say which ${readKind(kind)} to delete: quarterdeck delete ${kind} NAME`);
  return names.map((name) => ({ kind: readKind(kind), name }));
};

const confirm = async (targets: Target[], place: string): Promise<void> => {
  const what = targets.map(({ kind, name }) => `${kind} ${name}`).join(', ');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`Delete ${what} in ${place}? [y/N] `).finally(() => terminal.close());
  if (!/^y(es)?$/i.test(answer.trim())) throw new CliError('Nothing was deleted', { code: 'cancelled', exitCode: exitCodes.interrupted });
};

const deleteResources = async (
  kind: string | undefined,
  names: string[],
  { filename, yes, format, ...connection }: Options,
): Promise<void> => {
  const targets = await targetsOf(kind, names, filename);
  const { api, tenancy } = openSession(connection);
  // asked of people alone: a script says what it means
  if (!yes && process.stdin.isTTY && process.stderr.isTTY && !filename?.includes('-'))
    await confirm(targets, `${tenancy.org}/${tenancy.project}`);
  const results: object[] = [];
  for (const { kind: each, name, org = tenancy.org, project = tenancy.project } of targets) {
    const reference = `${each.toLowerCase()}/${name}`;
    try {
      results.push(await api.delete<object>(`/${org}/${project}/resources/${each}/${encodeURIComponent(name)}`));
      if (format !== 'json') print(format === 'name' ? reference : `${reference} deleted`);
    } catch (error) {
      // a file may be deleted twice; one name that is not there is a mistake
      if (!(filename && error instanceof ApiRefusal && error.code === 'not_found')) throw error;
      say(`${reference} is not there`);
    }
  }
  if (format === 'json') print(JSON.stringify({ results }, undefined, 2));
};

export const deleteCommand = (): Command =>
  withExamples(
    connectedCommand('delete')
      .description('Delete resources that nothing uses any more')
      .argument('[kind]', 'kind, or KIND/NAME')
      .argument('[name...]', 'which ones')
      .option('-f, --filename <path...>', 'those that a file, a folder or stdin (-) declares')
      .option('-y, --yes', 'do not ask')
      .addOption(formatOption(['table', 'json', 'name']))
      .action(deleteResources),
    [
      ['quarterdeck delete toolset echo', 'one resource'],
      ['quarterdeck delete -f examples/survey', 'whatever a folder declares'],
    ],
  );
