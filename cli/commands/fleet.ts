import { Command } from 'commander';
import type { RunProgress } from '../../schema/run.ts';
import { followRun } from '../client/follow-run.ts';
import { connectedCommand, openSession } from '../client/session.ts';
import { usageError } from '../output/cli-error.ts';
import { withExamples } from '../output/command-help.ts';
import { formatOption } from '../output/format-option.ts';
import { print, say } from '../output/talk.ts';
import { runFleet } from './fleet-run.ts';
import { type FormatOptions, listRuns, showRun } from './run-actions.ts';

const collect = (value: string, previous: string[] = []): string[] => [...previous, value];

const runCommand = (): Command =>
  withExamples(
    connectedCommand('run')
      .description('Launch a fleet and wait for it: 0 succeeded, 7 partial, 1 failed, 130 cancelled')
      .argument('<fleet>', 'name of the fleet')
      .option('-i, --input <name=value>', 'an input of the fleet; folders by path', collect)
      .option('--output <dir>', 'folder for what the fleet writes; by default one of the run in the data folder')
      .option('--watch', 'show how it goes: the default')
      .option('--no-watch', 'wait without showing how it goes')
      .option('-d, --detach', 'do not wait: print the id of the run and end')
      .addOption(formatOption(['table', 'json']))
      .action(runFleet),
    [
      ['quarterdeck fleet run survey --input path=.', 'with a folder as input'],
      ['quarterdeck fleet run survey --input path=. --output ./out', 'write to a folder of your own'],
      ['quarterdeck fleet run survey --input path=. -o json', 'the whole run as JSON on stdout'],
      ['quarterdeck fleet run survey --input path=. --detach', 'and look later'],
    ],
  );

const cancel = async (id: string, { format, wait, ...connection }: FormatOptions & { wait?: boolean }): Promise<void> => {
  const session = openSession(connection);
  const run = await session.api.post<RunProgress>(`${session.path}/runs/${encodeURIComponent(id)}/cancel`);
  if (wait) {
    await followRun(session, id, { isShown: true, format });
    // asked for, so it is no failure
    process.exitCode = 0;
    return;
  }
  print(format === 'json' ? JSON.stringify(run, undefined, 2) : `${run.id} ${run.state}`);
};

type ResumeOptions = FormatOptions & {
  addSteps: string;
  addCalls: string;
  addTokens: string;
  addSeconds: string;
  agent?: string[];
  watch?: boolean;
};

const resume = async (id: string, options: ResumeOptions): Promise<void> => {
  const { format, addSteps, addCalls, addTokens, addSeconds, agent, watch, ...connection } = options;
  const added = Object.fromEntries(
    Object.entries({ addSteps, addCalls, addTokens, addSeconds }).map(([name, text]) => {
      if (!/^\d{1,9}$/.test(text))
        throw usageError(`--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} ${text} is not a whole number`);
      return [name, Number(text)];
    }),
  );
  const session = openSession(connection);
  const { api, path } = session;
  const { org, project, fleet } = await api.get<RunProgress>(`${path}/runs/${encodeURIComponent(id)}`);
  const prefix = `${org}/${project}/${fleet}/${id}/`;
  const agents = agent ? { agents: agent.map((each) => (each.startsWith(prefix) ? each : `${prefix}${each}`)) } : {};
  const run = await api.post<RunProgress>(`${path}/runs/${encodeURIComponent(id)}/resume`, { ...added, ...agents });
  if (watch) {
    await followRun(session, id, { isShown: true, format });
    return;
  }
  print(format === 'json' ? JSON.stringify(run, undefined, 2) : `${run.id} ${run.state}`);
  say(`Watch it with: quarterdeck run watch ${run.id}`);
};

export const lsCommand = (): Command =>
  connectedCommand('ls')
    .description('List runs, newest first')
    .option('--limit <count>', 'how many', '50')
    .addOption(formatOption(['table', 'json', 'name']))
    .action(listRuns);

export const showCommand = (): Command =>
  connectedCommand('show')
    .description('Show one run: stages, agents, totals; exit code 5 while an agent waits for a person')
    .argument('<run>', 'id of the run')
    .option('--agent <agent>', 'one agent: STAGE/ROLE/ORDINAL')
    .option('--transcript', 'what that agent and its model said; needs the right to read the audit')
    .addOption(formatOption(['table', 'json']))
    .action(showRun);

export const fleetCommand = (): Command =>
  withExamples(
    new Command('fleet')
      .description('Launch fleets and look after their runs')
      .addCommand(runCommand())
      .addCommand(lsCommand())
      .addCommand(showCommand())
      .addCommand(
        connectedCommand('cancel')
          .description('Cancel a run')
          .argument('<run>', 'id of the run')
          .option('-w, --wait', 'until it has ended')
          .addOption(formatOption(['table', 'json']))
          .action(cancel),
      )
      .addCommand(
        connectedCommand('resume')
          .description('Go on with the parked agents of a run that ended as partial or failed')
          .argument('<run>', 'id of the run')
          .option('--add-steps <count>', 'more steps for each', '0')
          .option('--add-calls <count>', 'more tool calls for each', '0')
          .option('--add-tokens <count>', 'more tokens for each', '0')
          .option('--add-seconds <count>', 'more time for each', '0')
          .option('--agent <agent>', 'this one alone: STAGE/ROLE/ORDINAL; may be repeated', collect)
          .option('-w, --watch', 'show how it goes, and wait')
          .addOption(formatOption(['table', 'json']))
          .action(resume),
      ),
    [
      ['quarterdeck fleet run survey --input path=.', 'launch one and wait for it'],
      ['quarterdeck fleet ls', 'what has run'],
      ['quarterdeck fleet show RUN', 'how it went'],
      ['quarterdeck fleet resume RUN --add-steps 10 --watch', 'go on with what was parked'],
    ],
  );
