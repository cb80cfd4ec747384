import type { TranscriptEntry, TranscriptHead } from '../../agents/conversation.ts';
import { agentIdOf } from '../../schema/ids.ts';
import type { RunState } from '../../schema/run.ts';
import { beginAgent, endAgent, insertAgents, setTranscript } from '../../store/agents.ts';
import { moveRun, setRunResult } from '../../store/runs.ts';
import { appendToTranscript, beginTranscript } from '../../store/transcripts.ts';
import type { RunningApi } from './running-api.ts';

export const tenancy = { org: 'default', project: 'default' };
const limits = { steps: 3, calls: 5, tokens: 1000, timeSeconds: 60 };

export const head: TranscriptHead = {
  version: 1,
  attempt: 1,
  instructions: 'Read one file.',
  input: { path: '/input/a.ts' },
  tools: [{ name: 'read', description: 'Reads.', inputSchema: { type: 'object' } }],
  requiredCalls: [],
  output: { type: 'object' },
  model: { alias: 'small', decoding: 'constrained', contextTokens: 2048, maxOutputTokens: 256 },
};
export const entries: TranscriptEntry[] = [
  { kind: 'answer', text: '', calls: [{ tool: 'read', arguments: { path: '/input/a.ts' } }] },
  { kind: 'result', outcome: 'ok', text: 'line 1\nline \u001b[2J2' },
  { kind: 'answer', text: '{"purpose":"test"}', calls: [] },
];

/** Does the first half of what a fleet's workflow does to the rows: two agents of the stage `read`, at work. */
export const beginRun = async ({ database, contentStore }: Pick<RunningApi, 'database' | 'contentStore'>, id: string) => {
  await moveRun(database, { ...tenancy, id }, ['starting'], 'running');
  const addresses = [0, 1].map((ordinal) => ({ ...tenancy, runId: id, stage: 'read', role: 'reader', ordinal }));
  const inputDigest = await contentStore.put(tenancy, 'input', 'agent input');
  const rows = addresses.map((address) => ({
    ...address,
    id: agentIdOf({ ...address, fleet: 'survey' }),
    inputDigest,
    assignedPaths: [],
    limits,
  }));
  await insertAgents(database, rows);
  for (const { id: agentId } of rows) await beginAgent(database, agentId);
  const [first, second] = rows.map((row) => row.id);
  return { first: first ?? '', second: second ?? '' };
};

/** Does the other half: the first agent is done and has a transcript, the second is parked, and the run ends. */
export const endRun = async (
  { database, contentStore }: Pick<RunningApi, 'database' | 'contentStore'>,
  id: string,
  { first, second }: { first: string; second: string },
  { state, result }: { state: RunState; result?: string },
): Promise<void> => {
  const begun = await beginTranscript(contentStore, tenancy, head);
  await setTranscript(database, first, await appendToTranscript(contentStore, tenancy, begun, entries));
  await endAgent(database, first, { state: 'done', outputDigest: 'digest' });
  await endAgent(database, second, { state: 'parked', reason: 'limit_steps', detail: 'It used 3 of 3 steps.' });
  if (result) await setRunResult(database, { ...tenancy, id }, result);
  await moveRun(database, { ...tenancy, id }, ['running'], state);
};
