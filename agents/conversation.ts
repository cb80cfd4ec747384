import type { JsonObject } from './json.ts';

/** A tool as the gateway lists it to the agent. */
export type ToolDescription = { name: string; description: string; inputSchema: JsonObject };

/** What the agent knows of its model: the alias, how answers are decoded, and sizes in tokens. */
export type ConversationModel = {
  alias: string;
  decoding: 'native' | 'constrained';
  contextTokens: number;
  maxOutputTokens: number;
  temperature?: number;
};

/** What stands before the first word: it does not change while the agent lives. `attempt` is the run's when the agent began. */
export type TranscriptHead = {
  version: 1;
  attempt: number;
  instructions: string;
  input: JsonObject;
  tools: ToolDescription[];
  requiredCalls: string[];
  /** JSON Schema of the final answer. */
  output: JsonObject;
  model: ConversationModel;
};

export type ToolCall = { tool: string; arguments: JsonObject };

/** `unknown`: nobody can say whether the call took effect. */
export type ResultOutcome = 'ok' | 'failed' | 'refused' | 'unknown';

/** An answer whose successor is a repair was not usable. The results of an answer's calls follow it in the order of the calls. */
export type TranscriptEntry =
  | { kind: 'answer'; text: string; calls: ToolCall[] }
  | { kind: 'repair'; message: string }
  | { kind: 'result'; outcome: ResultOutcome; text: string }
  | { kind: 'resumed'; attempt: number };

/** Everything that was said to and by one agent. Nothing is taken out of it; only prompts are shortened. */
export type Transcript = { head: TranscriptHead; entries: TranscriptEntry[] };

export type CallWithResult = { call: ToolCall; outcome: ResultOutcome; text: string };

/** Each call that has a result, in order. */
export const callsWithResults = ({ entries }: Transcript): CallWithResult[] => {
  const found: CallWithResult[] = [];
  let open: ToolCall[] = [];
  for (const entry of entries) {
    if (entry.kind === 'answer') open = [...entry.calls];
    if (entry.kind !== 'result') continue;
    const call = open.shift();
    if (call) found.push({ call, outcome: entry.outcome, text: entry.text });
  }
  return found;
};

/** The calls of the last answer that have no result yet; `index` counts from 0 within the answer. */
export const pendingCalls = ({ entries }: Transcript): { call: ToolCall; index: number }[] => {
  const at = entries.findLastIndex((entry) => entry.kind === 'answer');
  const answer = entries[at];
  if (answer?.kind !== 'answer' || entries[at + 1]?.kind === 'repair') return [];
  const answered = entries.slice(at).filter((entry) => entry.kind === 'result').length;
  return answer.calls.map((call, index) => ({ call, index })).slice(answered);
};

/** Counts how often the model was asked to repair its answer without success in between; a resumed agent starts afresh. */
export const repairsInRow = ({ entries }: Transcript): number => {
  let count = 0;
  for (const entry of entries.toReversed()) {
    if (entry.kind === 'repair') count += 1;
    else if (entry.kind !== 'answer') break;
  }
  return count;
};

/** Counts the newest results with one of the outcomes, back to the first that has another. */
export const resultsInRow = ({ entries }: Transcript, outcomes: readonly ResultOutcome[]): number => {
  let count = 0;
  for (const entry of entries.toReversed()) {
    if (entry.kind === 'resumed') break;
    if (entry.kind !== 'result') continue;
    if (!outcomes.includes(entry.outcome)) break;
    count += 1;
  }
  return count;
};

/** The next of the role's required calls that has not succeeded yet. */
export const nextRequiredCall = (transcript: Transcript): string | undefined => {
  const succeeded = new Set(callsWithResults(transcript).flatMap(({ call, outcome }) => (outcome === 'ok' ? [call.tool] : [])));
  return transcript.head.requiredCalls.find((tool) => !succeeded.has(tool));
};
