import type { Transcript } from '../../agents/conversation.ts';
import type { AgentTranscript } from '../../control/api/read-transcript.ts';
import type { RunSummary } from '../../control/api/run-progress.ts';
import type { RunProgress } from '../../schema/run.ts';
import { followRun } from '../client/follow-run.ts';
import { type ConnectionOptions, openSession } from '../client/session.ts';
import { usageError } from '../output/cli-error.ts';
import { exitCodes } from '../output/exit-codes.ts';
import type { Format } from '../output/format-option.ts';
import { runReport, runTable } from '../output/run-report.ts';
import { isWaiting } from '../output/run-text.ts';
import { print, say } from '../output/talk.ts';
import { transcriptText } from '../output/transcript-text.ts';

export type FormatOptions = ConnectionOptions & { format: Format };

export const listRuns = async ({ format, limit, ...connection }: FormatOptions & { limit: string }): Promise<void> => {
  const { api, path, tenancy } = openSession(connection);
  const { runs } = await api.get<{ runs: RunSummary[] }>(`${path}/runs?limit=${encodeURIComponent(limit)}`);
  if (format === 'json') return print(JSON.stringify({ runs }, undefined, 2));
  if (format === 'name') return runs.length > 0 ? print(runs.map(({ id }) => id).join('\n')) : undefined;
  if (runs.length === 0) return say(`No fleet has run in ${tenancy.org}/${tenancy.project}; launch one with: quarterdeck fleet run FLEET`);
  print(runTable(runs, new Date()));
};

export const showRun = async (
  id: string,
  { format, agent, transcript, ...connection }: FormatOptions & { agent?: string; transcript?: boolean },
): Promise<void> => {
  const { api, path } = openSession(connection);
  const place = `${path}/runs/${encodeURIComponent(id)}`;
  if (transcript) {
    if (agent === undefined) throw usageError('Say whose transcript: --agent STAGE/ROLE/ORDINAL');
    const segments = agent.split('/').map(encodeURIComponent).join('/');
    const found = await api.get<AgentTranscript>(`${place}/agents/${segments}/transcript`);
    if (format === 'json') return print(JSON.stringify(found, undefined, 2));
    return print(transcriptText(found.agentId, found.state, found.transcript as Transcript));
  }
  const run = await api.get<RunProgress>(place);
  const agents = agent === undefined ? run.agents : run.agents.filter((each) => each.id === agent || each.id.endsWith(`/${agent}`));
  if (agent !== undefined && agents.length === 0)
    throw usageError(`The run ${id} has no agent ${agent}; \`quarterdeck run show ${id}\` lists them`);
  const shown = { ...run, agents };
  if (agents.some(isWaiting)) process.exitCode = exitCodes.needsApproval;
  print(format === 'json' ? JSON.stringify(shown, undefined, 2) : runReport(shown, new Date()));
};

export const revokeRun = async (id: string, { format, ...connection }: FormatOptions): Promise<void> => {
  const { api, path } = openSession(connection);
  const run = await api.post<RunProgress>(`${path}/runs/${encodeURIComponent(id)}/revoke`);
  print(format === 'json' ? JSON.stringify(run, undefined, 2) : `${run.id} ${run.state} revoked`);
  say('Each token of its agents is refused within two seconds, and no more are made.');
};

export const watchOneRun = async (id: string, { format, ...connection }: FormatOptions): Promise<void> => {
  await followRun(openSession(connection), encodeURIComponent(id), { isShown: true, format });
};
