import { pathToFileURL } from 'node:url';

/** A token of the model's vocabulary. */
export type Token = number;

export type LlamaModel = {
  /** With `special`, names of control tokens in the text become those tokens; without, they stay plain text. */
  tokenize(text: string, special: boolean): Token[];
  detokenize(tokens: readonly Token[], special: boolean, lastTokens?: readonly Token[]): string;
  isEogToken(token: Token): boolean;
  createContext(options: { contextSize: number; threads: number }): Promise<{ contextSize: number; getSequence(): LlamaSequence }>;
};

export type LlamaSequence = {
  readonly nextTokenIndex: number;
  adaptStateToTokens(tokens: Token[], allowShift: boolean): Promise<void>;
  evaluateWithoutGeneratingNewTokens(tokens: Token[]): Promise<void>;
  evaluate(
    tokens: Token[],
    options: { temperature: number; topP?: number; seed?: number; grammarEvaluationState?: object; yieldEogToken: true },
  ): AsyncGenerator<Token, void, void>;
};

/** A compiled grammar; opaque. */
export type LlamaGrammar = object;

/** The part of node-llama-cpp that is used here. It is installed on demand, so its own types are not at hand. */
type NodeLlamaCpp = {
  getLlama(options: object): Promise<{ loadModel(options: { modelPath: string; gpuLayers: number }): Promise<LlamaModel> }>;
  LlamaGrammar: new (llama: object, options: { grammar: string }) => LlamaGrammar;
  LlamaGrammarEvaluationState: new (options: { model: LlamaModel; grammar: LlamaGrammar }) => object;
};

/** A loaded model with what it takes to constrain it. */
export type Llama = {
  model: LlamaModel;
  compileGrammar(text: string): LlamaGrammar;
  /** The position in a grammar at the start of an answer. */
  startOf(grammar: LlamaGrammar): object;
};

/**
 * Loads node-llama-cpp from the folder it was installed to, and the model.
 * One thread: more of them wait for each other in busy loops, and beside other work on the machine an answer then takes many times as long.
 * @throws whatever the library throws, e.g. when its native part does not fit the machine
 */
export const loadLlama = async (packageDirectory: string, modelPath: string): Promise<Llama> => {
  const library = (await import(pathToFileURL(`${packageDirectory}/dist/index.js`).href)) as NodeLlamaCpp;
  // On Apple silicon the only ready-made library is the one with Metal; no layer is given to it.
  const gpu = process.platform === 'darwin' && process.arch === 'arm64' ? 'metal' : false;
  const llama = await library.getLlama({ gpu, build: 'never', skipDownload: true, progressLogs: false, logLevel: 'error', maxThreads: 1 });
  const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
  return {
    model,
    compileGrammar: (grammar) => new library.LlamaGrammar(llama, { grammar }),
    startOf: (grammar) => new library.LlamaGrammarEvaluationState({ model, grammar }),
  };
};
