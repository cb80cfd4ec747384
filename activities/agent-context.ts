import type { Transcript, TranscriptEntry } from '../agents/conversation.ts';
import type { Tenancy } from '../schema/ids.ts';
import type { AgentState, ParkReason } from '../schema/run.ts';
import { type Agent, endAgent, getAgent, setTranscript } from '../store/agents.ts';
import type { ContentStore } from '../store/contents.ts';
import type { Database } from '../store/database.ts';
import { getRun, type Run } from '../store/runs.ts';
import type { GatewayClient } from './gateway-client.ts';
import type { TranscriptStore } from './transcript-store.ts';

/** What the activities of an agent work with. */
export type AgentCollaborators = {
  database: Database;
  contents: ContentStore;
  transcripts: TranscriptStore;
  gateway: GatewayClient;
};

/** How an agent ended, as the workflow hears it. */
export type AgentEnded = { kind: 'ended'; state: AgentState; reason: ParkReason | null };

export const tenancyOf = ({ org, project }: Tenancy): Tenancy => ({ org, project });

export const runOf = (database: Database, agent: Agent): Promise<Run> => getRun(database, { ...tenancyOf(agent), id: agent.runId });

/** The agent's end, or undefined while it is at work. An activity that is tried again after its agent ended finds the end here. */
export const endOf = ({ state, reason }: Agent): AgentEnded | undefined =>
  state === 'pending' || state === 'running' ? undefined : { kind: 'ended', state, reason };

/** Reads the row anew: an end that came first stays. */
const endNow = async (database: Database, agentId: string): Promise<AgentEnded> => {
  const agent = await getAgent(database, agentId);
  return endOf(agent) ?? { kind: 'ended', state: 'failed', reason: null };
};

/** Parks an agent; `detail` is for people and stays in the database. */
export const park = async (database: Database, agentId: string, reason: ParkReason, detail: string): Promise<AgentEnded> => {
  await endAgent(database, agentId, { state: 'parked', reason, detail });
  return endNow(database, agentId);
};

export const finish = async (database: Database, agentId: string, outputDigest: string): Promise<AgentEnded> => {
  await endAgent(database, agentId, { state: 'done', outputDigest });
  return endNow(database, agentId);
};

export const cancel = async (database: Database, agentId: string): Promise<AgentEnded> => {
  await endAgent(database, agentId, { state: 'cancelled' });
  return endNow(database, agentId);
};

/** Adds to a conversation and keeps its new digest in the agent's row, from where a resumed agent goes on. */
export const extend = async (
  { database, transcripts }: Pick<AgentCollaborators, 'database' | 'transcripts'>,
  agent: Agent,
  { transcript, transcriptDigest }: { transcript: Transcript; transcriptDigest: string },
  entries: TranscriptEntry[],
): Promise<{ transcript: Transcript; transcriptDigest: string }> => {
  const digest = await transcripts.append(tenancyOf(agent), transcriptDigest, entries);
  await setTranscript(database, agent.id, digest);
  return { transcript: { ...transcript, entries: [...transcript.entries, ...entries] }, transcriptDigest: digest };
};
