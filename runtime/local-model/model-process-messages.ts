import type { Generation, GenerationRequest } from './generation.ts';

/** What the server tells the process that holds the model. */
export type ToModelProcess =
  | { type: 'load'; packageDirectory: string; modelPath: string; contextTokens: number }
  | { type: 'generate'; id: number; request: GenerationRequest }
  | { type: 'abort'; id: number };

/** What that process answers; `failed` without an id: the model cannot be loaded. */
export type FromModelProcess =
  | { type: 'loaded'; contextTokens: number }
  | { type: 'text'; id: number; text: string }
  | { type: 'done'; id: number; generation: Generation }
  | { type: 'aborted'; id: number }
  | { type: 'failed'; id?: number; error: { status: number; code: string; message: string; param: string | null } };
