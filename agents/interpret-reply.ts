import { allowedStep, originsOf } from './allowed-step.ts';
import { resolveHandles, textCandidates } from './candidates.ts';
import type { ModelReply } from './chat-request.ts';
import { inventedValues } from './check-origins.ts';
import { nextRequiredCall, type ToolCall, type Transcript } from './conversation.ts';
import { isJsonObject, type JsonObject, parseJson } from './json.ts';

/** More calls than this in one answer are not meant. */
const mostCalls = 16;

/** Judge values by JSON Schema; each returns what is wrong, in words, or nothing. */
export type Validators = {
  answer(value: unknown): string[];
  arguments(tool: string, value: unknown): string[];
};

/** `problem` tells the model what was wrong with its reply and what to do instead. */
export type Interpretation =
  | { kind: 'calls'; calls: ToolCall[] }
  | { kind: 'answer'; value: JsonObject }
  | { kind: 'unusable'; problem: string };

const unusable = (problem: string): Interpretation => ({ kind: 'unusable', problem });

/** The text without the fence that models put around JSON. */
const unfenced = (text: string): string => /^\s*```(?:json)?\s*\n([\s\S]*?)\n?\s*```\s*$/.exec(text)?.[1] ?? text;

const checkCalls = (transcript: Transcript, calls: { tool: string; arguments: unknown }[], validators: Validators): Interpretation => {
  const { tools } = allowedStep(transcript);
  if (calls.length > mostCalls) return unusable(`Ask for at most ${mostCalls} calls at once.`);
  const checked: ToolCall[] = [];
  for (const call of calls) {
    if (!tools.some(({ name }) => name === call.tool)) {
      const names = tools.map(({ name }) => name).join(', ');
      return unusable(
        names ? `There is no tool of that name now; there is ${names}.` : 'There is no tool to call now; give the final answer.',
      );
    }
    if (!isJsonObject(call.arguments)) return unusable(`The arguments of ${call.tool} are not a JSON object.`);
    const problems = validators.arguments(call.tool, call.arguments);
    if (problems.length > 0) return unusable(`The arguments of ${call.tool} do not fit its schema: ${problems.join('; ')}.`);
    checked.push({ tool: call.tool, arguments: call.arguments });
  }
  return { kind: 'calls', calls: checked };
};

const checkAnswer = (transcript: Transcript, value: unknown, validators: Validators): Interpretation => {
  const required = nextRequiredCall(transcript);
  if (required !== undefined) return unusable(`The final answer comes too early: ${required} has not succeeded yet. Call it first.`);
  if (!isJsonObject(value)) return unusable('The final answer is one JSON object and nothing else.');
  const problems = validators.answer(value);
  if (problems.length > 0) return unusable(`The final answer does not fit its schema: ${problems.join('; ')}.`);
  const invented = inventedValues(transcript.head.output, value, originsOf(transcript));
  if (invented.length > 0) return unusable(`The final answer names what was never seen, at ${invented.slice(0, 5).join(', ')}.`);
  return { kind: 'answer', value };
};

const noJson = ({ finishReason }: ModelReply): Interpretation =>
  finishReason === 'length'
    ? unusable('The reply was cut off. Answer shorter, with one complete JSON object.')
    : unusable('The reply is no JSON. Answer with one JSON object and nothing else.');

/** Reads `{tool, arguments}` or `{answer}`; long values come back as handles and are put in their places. */
const interpretConstrained = (transcript: Transcript, reply: ModelReply, validators: Validators): Interpretation => {
  const step = parseJson(unfenced(reply.text));
  if (!isJsonObject(step)) return noJson(reply);
  if ('answer' in step) return checkAnswer(transcript, step.answer, validators);
  if (typeof step.tool !== 'string') return unusable('Answer with one JSON object that has `tool` and `arguments`, or `answer`.');
  const candidates = textCandidates(originsOf(transcript).seen);
  return checkCalls(transcript, [{ tool: step.tool, arguments: resolveHandles(candidates, step.arguments ?? {}) }], validators);
};

const interpretNative = (transcript: Transcript, reply: ModelReply, validators: Validators): Interpretation => {
  if (reply.toolCalls.length > 0) {
    const calls = reply.toolCalls.map((call) => ({ tool: call.name, arguments: parseJson(call.arguments.trim() || '{}') }));
    return checkCalls(transcript, calls, validators);
  }
  const value = parseJson(unfenced(reply.text));
  return value === undefined ? noJson(reply) : checkAnswer(transcript, value, validators);
};

/**
 * Says what a model's reply means: calls to make, the final answer, or nothing usable.
 * Prose, cut JSON, unknown tools, wrong arguments, an answer that comes before the role's required calls and one that names things
 * never seen are not usable.
 */
export const interpretReply = (transcript: Transcript, reply: ModelReply, validators: Validators): Interpretation =>
  transcript.head.model.decoding === 'constrained'
    ? interpretConstrained(transcript, reply, validators)
    : interpretNative(transcript, reply, validators);
