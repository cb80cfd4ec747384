import type { RunSummary } from '../../control/api/run-progress.ts';
import { labelText } from '../../schema/flow-label.ts';
import type { RunProgress } from '../../schema/run.ts';
import { haltLifted } from '../../schema/workflow-contract.ts';
import { plainText } from './plain-text.ts';
import { elapsedMs, stageText, totalsText } from './run-text.ts';
import { renderTable } from './table.ts';
import { formatAge, formatCost, formatCount, formatDuration } from './units.ts';

export const runTable = (runs: RunSummary[], now: Date): string =>
  renderTable(
    ['RUN', 'FLEET', 'STATE', 'QUALITY', 'BY', 'AGE', 'TOOK', 'RESULT'],
    runs.map((run) => [
      run.id,
      run.fleet,
      run.state,
      run.quality,
      run.startedBy,
      formatAge(run.createdAt, now),
      formatDuration(elapsedMs(run, now)),
      run.result ?? '',
    ]),
  );

type Agent = RunProgress['agents'][number];

const detailOf = ({ waitsFor, detail }: Agent): string => {
  if (waitsFor === null) return detail ?? '';
  return waitsFor === haltLifted ? 'goes on when the halt is lifted' : `needs a person: approval ${waitsFor}`;
};

const agentTable = (agents: Agent[]): string =>
  renderTable(
    ['AGENT', 'STATE', 'REASON', 'STEPS', 'CALLS', 'REFUSED', 'TOKENS', 'COST', 'DETAIL'],
    agents.map((agent) => [
      `${agent.stage}/${agent.role}/${agent.ordinal}`,
      agent.waitsFor === null ? agent.state : agent.waitsFor === haltLifted ? 'halted' : 'waiting',
      agent.reason ?? '',
      String(agent.steps),
      String(agent.calls),
      String(agent.refusals),
      `${formatCount(agent.inputTokens)}+${formatCount(agent.outputTokens)}`,
      formatCost(agent.costMicroUsd),
      detailOf(agent),
    ]),
  );

/** What each agent carries of what it has read, and from where. */
const carriedLines = (agents: Agent[]): string[] => {
  const lines = agents.flatMap(({ stage, role, ordinal, label }) =>
    label ? [plainText(`  ${stage}/${role}/${ordinal}: ${labelText(label)}`)] : [],
  );
  return lines.length > 0 ? ['Carried', ...lines] : [];
};

/** Everything about one run, for people. */
export const runReport = (run: RunProgress, now: Date): string => {
  const facts: [string, string | null][] = [
    ['state', run.reason ? `${run.state}: ${run.reason}` : run.state],
    ['fleet', `${run.org}/${run.project}/${run.fleet}`],
    ['started', `${run.createdAt} by ${run.startedBy}`],
    ['took', formatDuration(elapsedMs(run, now))],
    ['quality', run.quality],
    ['totals', totalsText(run.totals)],
    ['output', run.outputDirectory],
    ['result', run.result],
    ['carries', run.label ? labelText(run.label) : null],
  ];
  const known = facts.filter((fact): fact is [string, string] => fact[1] !== null);
  const stages = run.stages.map((stage) => `  ${stage.name} (${stage.role}): ${stageText(stage)}`);
  return [
    `Run ${run.id}`,
    ...known.map(([name, text]) => `  ${name.padEnd(8)} ${plainText(text)}`),
    'Stages',
    ...stages,
    ...(run.agents.length > 0 ? ['Agents', agentTable(run.agents)] : ['Agents: none yet']),
    ...carriedLines(run.agents),
  ].join('\n');
};
