import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/**
 * A package with the few entry points of node-llama-cpp that are used, whose model is a script: a token is a byte, control tokens are 256
 * (start), 257 (end), and it repeats the last message after `say `; after `loop ` without end. `crash` ends its process. A grammar lets it write
 * only the grammar's own text. What it was given to read is noted in `globalThis.pretendLlama.read`.
 */
const source = `
const log = (globalThis.pretendLlama = { read: [], options: [] });
const encoder = new TextEncoder();
const names = { '<|im_start|>': 256, '<|im_end|>': 257 };
const model = {
  tokenize: (text, special) => (special && names[text] ? [names[text]] : [...encoder.encode(text)]),
  detokenize: (tokens) => new TextDecoder().decode(Uint8Array.from(tokens.filter((token) => token < 256))),
  isEogToken: (token) => token === 257,
  createContext: async ({ contextSize }) => ({ contextSize, getSequence: () => sequence }),
};
const sequence = {
  state: [],
  get nextTokenIndex() { return this.state.length; },
  async adaptStateToTokens(tokens) {
    const same = tokens.findIndex((token, at) => token !== this.state[at]);
    this.state = tokens.slice(0, Math.min(same === -1 ? tokens.length : same, this.state.length));
  },
  async evaluateWithoutGeneratingNewTokens(tokens) { await this.read(tokens); },
  async read(tokens) { await new Promise(setImmediate); log.read.push(tokens.length); this.state.push(...tokens); },
  async *evaluate(tokens, options) {
    log.options.push(options);
    await this.read(tokens);
    const asked = this.state.lastIndexOf(256, this.state.lastIndexOf(256) - 1);
    const message = model.detokenize(this.state.slice(asked, this.state.lastIndexOf(257))).replace(/^user\\n/, '');
    if (message === 'crash') process.kill(process.pid, 'SIGKILL');
    if (message === 'break') throw new Error('a fault of the library');
    const answer = options.grammarEvaluationState?.text ?? message.replace(/^(say|loop) /, '');
    do {
      for (const token of encoder.encode(answer)) { await new Promise(setImmediate); this.state.push(token); yield token; }
    } while (message.startsWith('loop '));
    yield 257;
  },
};
export const getLlama = async () => ({ loadModel: async ({ modelPath }) => {
  if (modelPath.endsWith('bad.gguf')) throw new Error('not a model');
  if (modelPath.endsWith('fatal.gguf')) process.exit(3);
  return model;
} });
export class LlamaGrammar { constructor(llama, { grammar }) { this.text = 'text of ' + grammar; log.compiled = (log.compiled ?? 0) + 1; } }
export class LlamaGrammarEvaluationState { constructor({ grammar }) { this.text = grammar.text; } }
`;

/** What a generator that was loaded into this process was given. */
export type PretendLlamaLog = { read: number[]; options: Record<string, unknown>[]; compiled?: number };

/** Writes the package. @returns its folder, as `installLocalModel` does */
export const writePretendLlama = async (): Promise<string> => {
  const directory = await mkdtemp(join(tmpdir(), 'pretend-llama-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  await mkdir(join(directory, 'dist'));
  await writeFile(join(directory, 'package.json'), '{ "type": "module" }');
  await writeFile(join(directory, 'dist', 'index.js'), source);
  return directory;
};
