import type { Command } from 'commander';
import { compareDocuments } from '../apply/apply-documents.ts';
import { loadDocuments } from '../apply/load-documents.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { readConfig } from '../config.ts';
import { withExamples } from '../output/command-help.ts';
import { exitCodes } from '../output/exit-codes.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { manifestOf, orderLike, toYaml } from '../output/manifest.ts';
import { print, styler } from '../output/talk.ts';
import { unifiedDiff } from '../output/unified-diff.ts';

type Options = ConnectionOptions & { filename: string[]; format: Format };

const diff = async ({ filename, format, ...connection }: Options): Promise<void> => {
  const config = readConfig();
  const documents = await loadDocuments(config, filename);
  const results = await compareDocuments(openSession(connection).api, documents);
  const changed = results.filter(({ action }) => action !== 'unchanged');
  if (changed.length > 0) process.exitCode = exitCodes.changes;
  if (format === 'json') {
    print(
      JSON.stringify(
        {
          results: changed.map(({ before, after, ...rest }) => ({
            ...rest,
            before: before && manifestOf(before),
            after: manifestOf(after),
          })),
        },
        undefined,
        2,
      ),
    );
    return;
  }
  const style = styler(config.colours, process.stdout);
  for (const { kind, org, project, name, before, after } of changed) {
    const path = `${org}/${project}/${kind}/${name}`;
    const names = { before: before ? `stored/${path}` : '/dev/null', after: `given/${path}` };
    const given = manifestOf(after);
    const stored = before ? toYaml(orderLike(manifestOf(before), given)) : '';
    for (const line of unifiedDiff(stored, toYaml(given), names).split('\n'))
      print(line.startsWith('+') ? style('green', line) : line.startsWith('-') ? style('red', line) : line);
  }
};

export const diffCommand = (): Command =>
  withExamples(
    connectedCommand('diff')
      .description('Show what an apply would change; exit code 3 when there is something')
      .requiredOption('-f, --filename <path...>', 'file, folder or - for stdin; YAML or JSON')
      .addOption(formatOption(['table', 'json']))
      .action(diff),
    [
      ['quarterdeck diff -f examples/survey', 'a unified diff for each resource that differs'],
      ['quarterdeck diff -f fleet.yaml && echo same', 'in a script: 0 the same, 3 changes'],
    ],
  );
