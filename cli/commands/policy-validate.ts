import type { Command } from 'commander';
import { isRed, type ValidationReport } from '../../schema/policy-publication.ts';
import { placeRefusal } from '../apply/check-documents.ts';
import { loadDocuments } from '../apply/load-documents.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { readConfig } from '../config.ts';
import { withExamples } from '../output/command-help.ts';
import { exitCodes } from '../output/exit-codes.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { print, say } from '../output/talk.ts';
import { goldenLines, isGood, remarkLines, validationSummary } from '../output/validation-text.ts';

type Options = ConnectionOptions & { format: Format };

const judge = async (files: string[], { format, ...options }: Options, showsAll: boolean): Promise<void> => {
  const documents = await loadDocuments(readConfig(), files);
  const { api, path } = openSession(options);
  const report = await api
    .post<ValidationReport>(`${path}/policy/validate`, { documents: documents.map(({ value }) => value) })
    .catch((error: unknown) => {
      throw placeRefusal(error, documents);
    });
  if (!isGood(report)) process.exitCode = exitCodes.error;
  if (format === 'json') return print(JSON.stringify(report, undefined, 2));
  for (const line of goldenLines({ golden: showsAll ? report.golden : report.golden.filter(isRed) })) print(line);
  for (const line of remarkLines(report)) say(line);
  say(validationSummary(report));
};

const judgeCommand = (name: string, description: string): Command =>
  connectedCommand(name)
    .description(description)
    .argument('<file...>', 'PolicySets: files, folders or -; each takes the place of the declared one of its name')
    .addOption(formatOption(['table', 'json']));

export const validateCommand = (): Command =>
  withExamples(
    judgeCommand(
      'validate',
      'Whether policies parse, fit the schema and make the golden decisions; warns of names that nothing has',
    ).action((files: string[], options: Options) => judge(files, options, false)),
    [['quarterdeck policy validate policy.yaml', 'before it is applied or published']],
  );

export const testCommand = (): Command =>
  withExamples(
    judgeCommand('test', 'The golden decisions of a project with changed policies, one by one; exit code 1 when one is red').action(
      (files: string[], options: Options) => judge(files, options, true),
    ),
    [['quarterdeck policy test policies/', 'all of them']],
  );
