export type ChatMessage = { role: 'system' | 'user' | 'assistant'; content: string };

/** What the model is asked. */
export type GenerationRequest = {
  messages: ChatMessage[];
  /** GBNF text that the answer must follow; free text without it. */
  grammar?: string;
  /** Most tokens of the answer; fewer where the context ends before. */
  maxTokens: number;
  /** 0 always takes the likeliest token, so the same request has the same answer. */
  temperature: number;
  topP?: number;
  /** Makes an answer at a temperature above 0 repeatable. */
  seed?: number;
};

/** What came of it. `length`: the answer was cut at its limit, so constrained JSON is not whole. */
export type Generation = { text: string; finishReason: 'stop' | 'length'; promptTokens: number; completionTokens: number };

/** `onText` is told the answer piece by piece; an aborted generation rejects with the signal's reason. */
export type GenerationOptions = { signal: AbortSignal; onText: (text: string) => void };

/** A model in memory, which answers one request at a time. */
export type LoadedModel = {
  contextTokens: number;
  generate(request: GenerationRequest, options: GenerationOptions): Promise<Generation>;
  /** Settles when the model is gone, by `close` or by a crash. */
  exited: Promise<void>;
  close(): Promise<void>;
};

/** What the server needs of a model; it may be loaded only when a request comes. */
export type ModelEngine = {
  readonly isLoaded: boolean;
  generate(request: GenerationRequest, options: GenerationOptions): Promise<Generation>;
  close(): Promise<void>;
};
