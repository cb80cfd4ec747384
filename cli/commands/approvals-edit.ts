import type { Command } from 'commander';
import { parse } from 'yaml';
import { z } from 'zod';
import type { Approval, ApprovalDetail, EditFix } from '../../schema/approval.ts';
import { ProposableOperationSchema } from '../../schema/reconcile/operation.ts';
import type { Plan } from '../../schema/reconcile/plan.ts';
import { readSources } from '../apply/read-sources.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { absolutePath } from '../client/working-directory.ts';
import { readConfig } from '../config.ts';
import { usageError } from '../output/cli-error.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { toYaml } from '../output/manifest.ts';
import { print, say } from '../output/talk.ts';

type Options = ConnectionOptions & { format: Format; operations?: string; comment?: string };

const OperationsSchema = z.array(ProposableOperationSchema).min(1).max(8);

/** @throws {CliError} which operation is wrong, and how */
const readOperations = async (path: string): Promise<EditFix['operations']> => {
  const [source] = await readSources([path], (given) => absolutePath(readConfig(), given));
  let written: unknown;
  try {
    written = parse(source?.text ?? '');
  } catch (error) {
    throw usageError(`${path} is no YAML: ${(error as Error).message.split('\n')[0]}`);
  }
  const read = OperationsSchema.safeParse(written);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw usageError(
    `${path} is no list of operations: ${issue?.path.join('/') || 'the whole'}: ${issue?.message}; \`approvals edit APPROVAL\` prints those that there are`,
  );
};

/** Without a file the operations as they are, to begin with. */
const edit = async (id: string, { format, operations: path, comment, ...connection }: Options): Promise<void> => {
  const session = openSession(connection);
  const place = `${session.path}/approvals/${encodeURIComponent(id)}`;
  const approval = await session.api.get<ApprovalDetail>(place);
  if (approval.kind !== 'fix') throw usageError(`${id} is of a ${approval.kind}: only what the reconciler would do is edited`);
  if (path === undefined) {
    const { steps } = JSON.parse(approval.arguments) as Plan;
    const operations = steps.map(({ operation }) => operation);
    print(format === 'json' ? JSON.stringify(operations, undefined, 2) : toYaml(operations));
    return say(`Change them, and: quarterdeck approvals edit ${id} --operations FILE`);
  }
  const body: EditFix = {
    ...{ digest: approval.digest, operations: await readOperations(path) },
    ...(comment === undefined ? {} : { comment }),
  };
  const ended = await session.api.post<Approval>(`${place}/edit`, body);
  if (format === 'json') return print(JSON.stringify(ended, undefined, 2));
  if (format === 'yaml') return print(toYaml(ended));
  print(format === 'name' ? ended.id : `${ended.id} ${ended.state}`);
  say('Your plan is checked and tried now; somebody else is asked to approve it: `quarterdeck approvals ls`.');
};

export const approvalsEditCommand = (): Command =>
  connectedCommand('edit')
    .description('Have something else done about the drift: your plan is a new one, which somebody else approves')
    .argument('<approval>', 'its id')
    .option('--operations <file>', 'what is to be done, as YAML or JSON; `-` is stdin; without it those that are asked about are printed')
    .option('--comment <text>', 'why, at most 450 characters')
    .addOption(formatOption(['table', 'json', 'yaml', 'name']))
    .action(edit);
