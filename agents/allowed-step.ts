import { answerGrammar, type Origins } from './answer-grammar.ts';
import { callGrammar } from './call-grammar.ts';
import { nextRequiredCall, type ToolDescription, type Transcript } from './conversation.ts';
import type { JsonObject } from './json.ts';
import { inputValues, seenValues } from './seen-values.ts';

/** What the agent may do next: call one of the tools, or give its final answer. */
export type AllowedStep = { tools: ToolDescription[]; answer: boolean };

/**
 * In constrained decoding a role's required calls come one after the other and then the answer; a role without required calls may
 * call or answer at any step. Otherwise the model chooses, and an answer that comes too early is sent back.
 */
export const allowedStep = (transcript: Transcript): AllowedStep => {
  const { tools, requiredCalls, model } = transcript.head;
  const required = nextRequiredCall(transcript);
  if (model.decoding === 'native') return { tools, answer: required === undefined };
  if (required !== undefined) return { tools: tools.filter(({ name }) => name === required), answer: false };
  return { tools: requiredCalls.length > 0 ? [] : tools, answer: true };
};

export const originsOf = (transcript: Transcript): Origins => ({
  input: inputValues(transcript.head.input),
  seen: seenValues(transcript),
});

/**
 * The schema of one step of constrained decoding: `{tool, arguments}` or `{answer}`.
 * @returns undefined where no allowed step can be made with the values seen
 */
export const stepGrammar = (transcript: Transcript): JsonObject | undefined => {
  const origins = originsOf(transcript);
  const { tools, answer } = allowedStep(transcript);
  const steps = tools.map((tool) => callGrammar(tool, origins.seen)).filter((step) => step !== undefined);
  if (answer) {
    const schema = answerGrammar(transcript.head.output, origins, transcript.head.model.maxOutputTokens);
    steps.push({ type: 'object', properties: { answer: schema }, required: ['answer'], additionalProperties: false });
  }
  return steps.length > 1 ? { oneOf: steps } : steps[0];
};
