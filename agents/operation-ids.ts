import { repairsInRow, type Transcript } from './conversation.ts';

/** The run's attempt in which the agent is at work: a resume counts one up. */
export const attemptOf = ({ head, entries }: Transcript): number =>
  entries.reduce((attempt, entry) => (entry.kind === 'resumed' ? entry.attempt : attempt), head.attempt);

/** How many answers of the model were usable. */
const usableAnswers = ({ entries }: Transcript): number =>
  entries.filter((entry, index) => entry.kind === 'answer' && entries[index + 1]?.kind !== 'repair').length;

const prefixOf = (agentId: string, transcript: Transcript, step: number): string => {
  const attempt = attemptOf(transcript);
  return attempt === 1 ? `${agentId}/step-${step}` : `${agentId}/attempt-${attempt}/step-${step}`;
};

/**
 * The operation id of the model call that comes next. It follows from the transcript alone, so a retry asks under the same id, while
 * a repair and a resumed agent ask under another.
 */
export const modelOperationId = (agentId: string, transcript: Transcript): string => {
  const repairs = repairsInRow(transcript);
  const name = repairs === 0 ? 'model' : `model-repair-${repairs}`;
  return `${prefixOf(agentId, transcript, usableAnswers(transcript) + 1)}/${name}`;
};

/** The operation id of a call of the last answer, by its place in that answer. */
export const toolOperationId = (agentId: string, transcript: Transcript, index: number): string =>
  `${prefixOf(agentId, transcript, usableAnswers(transcript))}/call-${index}`;
