import { promptTokens } from './chat-prompt.ts';
import type { Generation, GenerationRequest } from './generation.ts';
import type { Llama, LlamaModel, LlamaSequence, Token } from './llama-library.ts';
import { OpenAiError } from './openai-error.ts';
import { createRecentMap } from './recent-map.ts';

/** Tokens of the prompt read between two looks at whether the caller is still there: about half a second of one thread. */
const promptStep = 256;
const keptGrammars = 32;

export type TextGenerator = {
  contextTokens: number;
  /** Rejects with the signal's reason once aborted. */
  generate(request: GenerationRequest, signal: AbortSignal, onText: (text: string) => void): Promise<Generation>;
};

/** Generates answers in one context, one after the other. Beginnings that two prompts share, such as instructions, are read once. */
export const createTextGenerator = async (llama: Llama, contextTokens: number): Promise<TextGenerator> => {
  const { model } = llama;
  const context = await model.createContext({ contextSize: contextTokens, threads: 1 });
  const sequence = context.getSequence();
  const grammars = createRecentMap<object>(keptGrammars);

  const generate: TextGenerator['generate'] = async (request, signal, onText) => {
    const { grammar } = request;
    const prompt = promptTokens(model, request.messages);
    const room = context.contextSize - prompt.length;
    if (room < 1) throw tooLong(prompt.length, context.contextSize);
    const maxTokens = Math.min(request.maxTokens, room);
    const grammarEvaluationState = grammar && llama.startOf(grammars.get(grammar, () => llama.compileGrammar(grammar)));
    const rest = await readPrompt(sequence, prompt, signal);
    const text = createTextAssembler(model, onText);
    const { temperature, topP, seed } = request;
    let completionTokens = 0;
    let finishReason: Generation['finishReason'] = 'length';
    for await (const token of sequence.evaluate(rest, {
      temperature,
      topP,
      seed,
      ...(grammarEvaluationState ? { grammarEvaluationState } : {}),
      yieldEogToken: true,
    })) {
      signal.throwIfAborted();
      if (model.isEogToken(token)) {
        finishReason = 'stop';
        break;
      }
      completionTokens += 1;
      text.add(token);
      if (completionTokens >= maxTokens) break;
    }
    return { text: text.end(), finishReason, promptTokens: prompt.length, completionTokens };
  };
  return { contextTokens: context.contextSize, generate };
};

const tooLong = (promptLength: number, contextTokens: number): OpenAiError =>
  new OpenAiError(
    400,
    'context_length_exceeded',
    `The prompt has ${promptLength} tokens and the local model reads at most ${contextTokens - 1} of its ${contextTokens} (n_ctx). Shorten it.`,
    { param: 'messages' },
  );

/** Reads the prompt up to a last part, which is returned: its evaluation gives the first token of the answer. */
const readPrompt = async (sequence: LlamaSequence, prompt: Token[], signal: AbortSignal): Promise<Token[]> => {
  // All but the last token, for at least one must be left to evaluate.
  await sequence.adaptStateToTokens(prompt.slice(0, -1), false);
  let at = sequence.nextTokenIndex;
  for (; prompt.length - at > promptStep; at += promptStep) {
    signal.throwIfAborted();
    await sequence.evaluateWithoutGeneratingNewTokens(prompt.slice(at, at + promptStep));
  }
  signal.throwIfAborted();
  return prompt.slice(at);
};

/** Turns tokens into text; a character that several tokens make up is held back until it is whole. */
const createTextAssembler = (model: LlamaModel, onText: (text: string) => void) => {
  let whole = '';
  let before: Token[] = [];
  let pending: Token[] = [];
  const flush = (): void => {
    const text = model.detokenize(pending, false, before);
    whole += text;
    [before, pending] = [pending, []];
    if (text !== '') onText(text);
  };
  return {
    add(token: Token): void {
      pending.push(token);
      if (!model.detokenize(pending, false, before).endsWith('\uFFFD') || pending.length > 8) flush();
    },
    end(): string {
      if (pending.length > 0) flush();
      return whole;
    },
  };
};
