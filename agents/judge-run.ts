import type { AgentState, ParkReason } from '../schema/run.ts';

/** How the agents of a run ended, what kept a stage from being prepared, and what became of the result file. */
export type RunFacts = {
  agents: { state: AgentState; reason: ParkReason | null }[];
  /** Why a stage could not be prepared, in words. */
  problem: string | undefined;
  /** Name of the file the fleet declares and that is not there. */
  missingFile: string | undefined;
};

export type RunVerdict = { state: 'succeeded' | 'partial' | 'failed'; reason: string | null };

/**
 * Says how a run ends. Parked agents make it `partial`, since they can be resumed; it failed when nobody is parked and either nothing
 * was done, a stage could not be prepared or the result is missing.
 */
export const judgeRun = ({ agents, problem, missingFile }: RunFacts): RunVerdict => {
  const parked = agents.filter(({ state }) => state === 'parked');
  const unfinished = agents.filter(({ state }) => state !== 'done');
  const reasons = [...new Set(unfinished.flatMap(({ reason }) => reason ?? []))].sort().join(', ');
  const detail = reasons === '' ? '' : ` (${reasons})`;
  if (parked.length > 0) {
    const count = `${parked.length} of ${agents.length} agents ${parked.length === 1 ? 'is' : 'are'} parked${detail}`;
    return { state: 'partial', reason: problem === undefined ? count : `${count}; ${problem}` };
  }
  if (problem !== undefined) return { state: 'failed', reason: problem };
  if (unfinished.length > 0) {
    const state = unfinished.length < agents.length ? 'partial' : 'failed';
    return { state, reason: `${unfinished.length} of ${agents.length} agents did not finish${detail}` };
  }
  if (missingFile !== undefined) return { state: 'failed', reason: `every agent is done, but ${missingFile} was not written` };
  return { state: 'succeeded', reason: null };
};

export type StageMember = { state: AgentState | undefined; output: unknown; item: unknown };

/**
 * What later stages may name of an ended stage: `outputs` of its agents that are done, in the order of their tasks; `output` where it
 * had one agent and that is done; `unfinished`, the elements of `forEach` whose agents are not done.
 */
export const stageValues = (members: readonly StageMember[]): { outputs: unknown[]; output?: unknown; unfinished: unknown[] } => {
  const outputs = members.flatMap(({ state, output }) => (state === 'done' ? [output] : []));
  const unfinished = members.flatMap(({ state, item }) => (state === 'done' || item === undefined ? [] : [item]));
  const [only] = members;
  return members.length === 1 && only?.state === 'done' ? { outputs, output: only.output, unfinished } : { outputs, unfinished };
};
