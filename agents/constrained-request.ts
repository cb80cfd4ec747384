import { allowedStep, stepGrammar } from './allowed-step.ts';
import { type Candidate, handleFor, textCandidates } from './candidates.ts';
import type { ChatMessage, ChatRequest } from './chat-request.ts';
import { callsWithResults, type Transcript } from './conversation.ts';
import { isJsonObject, type Json, parseJson } from './json.ts';
import { pathsOfTree, seenValues } from './seen-values.ts';
import { charactersPerToken, fairLength, shorten } from './shorten.ts';

/** A small model on one processor reads 100 to 200 tokens of a prompt in a second, so prompts stay this short whatever fits. */
const promptTokens = 1000;
const shortestResult = 120;
const longestExcerpt = 160;

/** Shows long texts by their handle and their beginning. */
const withHandles = (value: Json, candidates: readonly Candidate[]): Json => {
  if (typeof value === 'string') {
    const handle = handleFor(candidates, value);
    return handle === undefined ? value : `${handle} (${value.length} characters): ${value.slice(0, longestExcerpt)}…`;
  }
  if (Array.isArray(value)) return value.map((item) => withHandles(item, candidates));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withHandles(inner, candidates)]));
};

/** A directory tree reads best as a list of its files. */
const resultTexts = (transcript: Transcript): string[] =>
  callsWithResults(transcript).map(({ call, outcome, text }) => {
    if (outcome !== 'ok') return `${call.tool} did not succeed: ${text}`;
    const value = parseJson(text);
    const paths = value === undefined ? undefined : pathsOfTree(value, call);
    return `Result of ${call.tool}:\n${paths ? paths.join('\n') : text}`;
  });

/** One turn after another: what the model wrote, and what came of it. */
const turnsOf = ({ entries }: Transcript, results: readonly string[], longestResult: number): ChatMessage[] => {
  const waiting = [...results];
  return entries.flatMap((entry): ChatMessage[] => {
    if (entry.kind === 'answer') return [{ role: 'assistant', content: shorten(entry.text, longestExcerpt) }];
    if (entry.kind === 'repair') return [{ role: 'user', content: entry.message }];
    if (entry.kind === 'result') return [{ role: 'user', content: shorten(waiting.shift() ?? '', longestResult) }];
    return [];
  });
};

/** Says last what is wanted now: what stands far back in a prompt a small model does not heed. */
const closingText = (transcript: Transcript): string => {
  const { tools, answer } = allowedStep(transcript);
  const { properties } = transcript.head.output;
  const fields = Object.keys(isJsonObject(properties) ? properties : {});
  const calls = tools.map(({ name }) => `call ${name}`);
  return `Now ${[...calls, ...(answer ? [`answer with ${fields.join(', ')}`] : [])].join(', or ')}. Write JSON.`;
};

/**
 * The request of one step for a model whose answer is held to a grammar: the schema of what it may do next, no `tools`.
 * @returns undefined where nothing is allowed: a required call needs a value that was never seen
 */
export const constrainedRequest = (transcript: Transcript): ChatRequest | undefined => {
  const schema = stepGrammar(transcript);
  if (!schema) return undefined;
  const { head } = transcript;
  const { alias, contextTokens, maxOutputTokens, temperature } = head.model;
  const candidates = textCandidates(seenValues(transcript));
  const opening: ChatMessage[] = [
    { role: 'system', content: head.instructions },
    { role: 'user', content: `Your task, as JSON:\n${JSON.stringify(withHandles(head.input, candidates))}` },
  ];
  const results = resultTexts(transcript);
  const closing: ChatMessage = { role: 'user', content: closingText(transcript) };
  const fixed = JSON.stringify([opening, turnsOf(transcript, [], 0), closing]).length;
  const budget = Math.min(contextTokens - maxOutputTokens, promptTokens) * charactersPerToken - fixed;
  const longest = fairLength(
    results.map((text) => text.length),
    budget,
    shortestResult,
  );
  return {
    model: alias,
    messages: [...opening, ...turnsOf(transcript, results, longest), closing],
    max_tokens: maxOutputTokens,
    stream: false,
    ...(temperature === undefined ? {} : { temperature }),
    response_format: { type: 'json_schema', json_schema: { name: 'step', schema } },
  };
};
