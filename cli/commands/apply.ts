import type { Command } from 'commander';
import { applyDocuments } from '../apply/apply-documents.ts';
import { loadDocuments } from '../apply/load-documents.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { readConfig } from '../config.ts';
import { withExamples } from '../output/command-help.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { print, say } from '../output/talk.ts';

type Options = ConnectionOptions & { filename: string[]; dryRun?: boolean; quiet?: boolean; format: Format };

const apply = async ({ filename, dryRun, quiet, format, ...connection }: Options): Promise<void> => {
  const documents = await loadDocuments(readConfig(), filename);
  const { api } = openSession(connection);
  const results = await applyDocuments(api, documents, { dryRun });
  if (format === 'json') return print(JSON.stringify({ dryRun: dryRun ?? false, results }, undefined, 2));
  for (const { kind, project, name, action } of results) {
    const reference = `${kind.toLowerCase()}/${name}`;
    if (format === 'name') print(reference);
    else print(`${reference}${project === 'default' || kind === 'Project' ? '' : ` in ${project}`} ${action}${dryRun ? ' (dry run)' : ''}`);
  }
  if (!quiet && !dryRun && format === 'table' && process.stderr.isTTY) say('See it with: quarterdeck get all');
};

export const applyCommand = (): Command =>
  withExamples(
    connectedCommand('apply')
      .description('Declare resources: all of what is given, or nothing when one of them is not valid')
      .requiredOption('-f, --filename <path...>', 'file, folder or - for stdin; YAML or JSON')
      .option('-n, --dry-run', 'say what would change, and change nothing')
      .option('-q, --quiet', 'say nothing but the result')
      .addOption(formatOption(['table', 'json', 'name']))
      .action(apply),
    [
      ['quarterdeck apply -f fleet.yaml', 'one file, of one or many resources'],
      ['quarterdeck apply -f examples/survey', 'every .yaml, .yml and .json of a folder'],
      ['quarterdeck get model fast -o yaml | quarterdeck apply -f -', 'from stdin'],
      ['quarterdeck apply -f fleet.yaml --dry-run', 'see what would happen'],
    ],
  );
