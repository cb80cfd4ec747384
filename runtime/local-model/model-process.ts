import { loadLlama } from './llama-library.ts';
import type { FromModelProcess, ToModelProcess } from './model-process-messages.ts';
import { toOpenAiError } from './openai-error.ts';
import { createTextGenerator, type TextGenerator } from './text-generator.ts';

/**
 * The process that holds the model in memory, started by `startModelProcess`: its memory returns to the machine when it ends, and a crash
 * of the native library costs one answer. It says what happens by IPC messages and ends with its parent.
 */
const send = (message: FromModelProcess): void => void process.send?.(message);
let generator: TextGenerator | undefined;
let current: { id: number; abort: AbortController } | undefined;

const fail = (id: number | undefined, error: unknown): void => {
  const { status, code, message, param, cause } = toOpenAiError(error);
  // The cause goes to the log, by way of stderr; it is the library's and holds no prompt.
  if (status >= 500) console.error(cause ?? message);
  send({ type: 'failed', id, error: { status, code, message, param } });
};

const load = async ({ packageDirectory, modelPath, contextTokens }: Extract<ToModelProcess, { type: 'load' }>): Promise<void> => {
  try {
    generator = await createTextGenerator(await loadLlama(packageDirectory, modelPath), contextTokens);
    send({ type: 'loaded', contextTokens: generator.contextTokens });
  } catch (error) {
    fail(undefined, error);
  }
};

const generate = async ({ id, request }: Extract<ToModelProcess, { type: 'generate' }>): Promise<void> => {
  const abort = new AbortController();
  current = { id, abort };
  try {
    if (generator === undefined) throw new Error('the model is not loaded');
    const generation = await generator.generate(request, abort.signal, (text) => send({ type: 'text', id, text }));
    send({ type: 'done', id, generation });
  } catch (error) {
    if (abort.signal.aborted) send({ type: 'aborted', id });
    else fail(id, error);
  }
};

process.on('message', (message: ToModelProcess) => {
  if (message.type === 'load') void load(message);
  else if (message.type === 'generate') void generate(message);
  else if (current?.id === message.id) current.abort.abort();
});
process.on('disconnect', () => process.exit(0));
// Ctrl-C in a terminal reaches the whole group; the parent decides in which order its processes end.
process.on('SIGINT', () => {});
