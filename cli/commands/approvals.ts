import { Command, Option } from 'commander';
import { type Approval, type ApprovalDetail, ApprovalStateSchema, type DecideApproval, type Verdict } from '../../schema/approval.ts';
import { confirm } from '../client/confirm.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { approvalInShort, approvalTable, approvalText } from '../output/approval-text.ts';
import { CliError, usageError } from '../output/cli-error.ts';
import { withExamples } from '../output/command-help.ts';
import { evidenceText } from '../output/evidence-text.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { toYaml } from '../output/manifest.ts';
import { sayIfSlow } from '../output/say-if-slow.ts';
import { screenColumns, wideOption } from '../output/screen-columns.ts';
import { print, say } from '../output/talk.ts';
import { approvalsEditCommand } from './approvals-edit.ts';

type Options = ConnectionOptions & { format: Format };
type AnswerOptions = Options & { digest?: string; comment?: string; yes?: boolean };

const shortestDigest = 12;

const list = async ({
  format,
  state,
  run,
  wide,
  ...connection
}: Options & { state: string; run?: string; wide?: boolean }): Promise<void> => {
  const { api, path } = openSession(connection);
  const query = new URLSearchParams({ state, ...(run === undefined ? {} : { run }) });
  const { approvals } = await api.get<{ approvals: Approval[] }>(`${path}/approvals?${query}`);
  if (format === 'json') return print(JSON.stringify({ approvals }, undefined, 2));
  if (format === 'yaml') return print(toYaml({ approvals }));
  if (approvals.length === 0) return say(state === 'pending' ? 'Nothing waits for a person.' : 'There is no such approval.');
  print(format === 'name' ? approvals.map(({ id }) => id).join('\n') : approvalTable(approvals, new Date(), screenColumns({ wide })));
};

const fetchOne = (connection: ConnectionOptions, id: string) => {
  const session = openSession(connection);
  const place = `${session.path}/approvals/${encodeURIComponent(id)}`;
  return { ...session, place, approval: session.api.get<ApprovalDetail>(place) };
};

const show = async (id: string, { format, evidence: wantsEvidence, ...connection }: Options & { evidence?: boolean }): Promise<void> => {
  if (wantsEvidence) {
    const { api, place } = fetchOne(connection, id);
    const found = await api.get<{ digest: string; evidence: string }>(`${place}/evidence`);
    if (format === 'json') return print(JSON.stringify(found, undefined, 2));
    return print(format === 'yaml' ? toYaml(found) : evidenceText(found.evidence));
  }
  const approval = await fetchOne(connection, id).approval;
  if (format === 'json') return print(JSON.stringify(approval, undefined, 2));
  print(format === 'yaml' ? toYaml(approval) : approvalText(approval, new Date()));
  if (format !== 'table' || approval.state !== 'pending') return;
  const other = approval.kind === 'fix' ? `\nElse: quarterdeck approvals edit ${id}` : '';
  const who = connection.as === undefined ? '' : ` --as ${connection.as}`;
  const yes = `quarterdeck approvals approve ${id} --digest ${approval.digest.slice(0, shortestDigest)}${who}`;
  const no = `quarterdeck approvals deny ${id} --comment WHY${who}`;
  say(`${approval.you?.mayApprove === false ? '' : `Yes: ${yes}\n`}No:  ${no}${other}`);
};

/** The digest that is decided about: that of what is shown now, or the one that was looked at before. */
const chooseDigest = async (approval: ApprovalDetail, verdict: Verdict, { digest, yes }: AnswerOptions): Promise<string> => {
  if (digest !== undefined) {
    if (digest.length < shortestDigest)
      throw usageError(`--digest takes at least the first ${shortestDigest} characters that \`quarterdeck approvals show\` prints`);
    if (!approval.digest.startsWith(digest))
      throw new CliError(
        `${digest.slice(0, shortestDigest)} is not the digest of ${approval.id}, which is about something else than you looked at`,
        {
          code: 'conflict',
          next: `quarterdeck approvals show ${approval.id}`,
        },
      );
  } else if (!yes && verdict === 'approve') {
    say(`${approvalText(approval, new Date())}\n${approvalInShort(approval)}`);
    await confirm('Approve this?', 'Approving asks a person; in a script say --digest DIGEST for what was looked at, or --yes');
  }
  return approval.digest;
};

const answer =
  (verdict: Verdict) =>
  async (id: string, options: AnswerOptions): Promise<void> => {
    const { format, comment } = options;
    const { api, place, approval } = fetchOne(options, id);
    const digest = await chooseDigest(await approval, verdict, options);
    const body: DecideApproval = { digest, ...(comment === undefined ? {} : { comment }) };
    const decided = await sayIfSlow(
      api.post<Approval>(`${place}/${verdict}`, body),
      'What it is about is looked at before, and who waits is told by Temporal after: one of them does not answer yet. It takes a few seconds more at most.',
    );
    if (format === 'json') return print(JSON.stringify(decided, undefined, 2));
    if (format === 'yaml') return print(toYaml(decided));
    print(format === 'name' ? decided.id : `${decided.id} ${decided.state}`);
    if (decided.state === 'pending') {
      const given = decided.decisions.filter((one) => one.verdict === 'approve').length;
      const asked = Math.max(...decided.rules.map(({ count }) => count));
      say(`Others have to approve it too${given < asked ? `: ${given} of ${asked}` : ''}.`);
    }
    if (decided.kind === 'fix' && decided.state === 'approved')
      return say('It is looked at once more, and applied; `quarterdeck reconcile status` says what came of it.');
    if (decided.state === 'consumed' && decided.kind !== 'call') say('It is in force.');
    if (decided.state === 'approved')
      say(decided.agent === null ? 'It runs when the same call is made again.' : 'The agent that waits makes its call now.');
  };

const answerCommand = (verdict: Verdict): Command =>
  connectedCommand(verdict)
    .description(verdict === 'approve' ? 'Let this very call through, or this change into force, once' : 'Refuse it; one is enough')
    .argument('<approval>', 'its id')
    .option('--digest <digest>', 'only if it is still the call that was looked at')
    .option('--comment <text>', 'what you want to be known, at most 500 characters')
    .option('-y, --yes', 'do not ask')
    .addOption(formatOption(['table', 'json', 'yaml', 'name']))
    .action(answer(verdict));

export const approvalsCommand = (): Command =>
  withExamples(
    new Command('approvals')
      .description('Calls and changes that a person has to allow: look at them, approve or deny them')
      .addCommand(
        connectedCommand('ls')
          .description('List what waits and is yours to answer or to know')
          .addOption(new Option('--state <state>', 'in this state').choices([...ApprovalStateSchema.options, 'all']).default('pending'))
          .option('--run <id>', 'of one run')
          .addOption(wideOption())
          .addOption(formatOption(['table', 'json', 'yaml', 'name']))
          .action(list),
      )
      .addCommand(
        connectedCommand('show')
          .description('Show one, with exactly what would be run')
          .argument('<approval>', 'its id')
          .option('--evidence', 'what the diagnosis of a fix was made of, instead')
          .addOption(formatOption(['table', 'json', 'yaml']))
          .action(show),
      )
      .addCommand(answerCommand('approve'))
      .addCommand(answerCommand('deny'))
      .addCommand(approvalsEditCommand()),
    [
      ['quarterdeck approvals ls', 'what waits'],
      ['quarterdeck approvals show APPROVAL --as reviewer', 'what would be run'],
      ['quarterdeck approvals approve APPROVAL --as reviewer', 'look at it, and let it through once'],
      ['quarterdeck approvals edit APPROVAL --operations mine.yaml', 'another plan for the same drift'],
      ['quarterdeck approvals deny APPROVAL --comment "wrong folder"', 'refuse it'],
    ],
  );
