import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { PlatformError } from '../../schema/errors.ts';
import type { Generation, GenerationOptions, LoadedModel } from './generation.ts';
import type { FromModelProcess, ToModelProcess } from './model-process-messages.ts';
import { OpenAiError } from './openai-error.ts';

/** Far more than a load takes (a second; ten on a machine that swaps). */
const loadTimeoutMs = 60_000;

type PendingGeneration = GenerationOptions & { id: number; resolve: (generation: Generation) => void; reject: (reason: unknown) => void };

/**
 * Starts a process that holds the model, and loads it there.
 * @param config.contextTokens - how much prompt and answer may have together
 * @throws {PlatformError} `model_unavailable` when it cannot be loaded
 */
export const startModelProcess = async (config: {
  packageDirectory: string;
  modelPath: string;
  contextTokens: number;
}): Promise<LoadedModel> => {
  const entry = fileURLToPath(new URL('./model-process.ts', import.meta.url));
  const child = fork(entry, [], { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const loaded = Promise.withResolvers<number>();
  const exited = Promise.withResolvers<void>();
  let pending: PendingGeneration | undefined;
  let lastId = 0;

  const gone = (reason: string): void => {
    const error = new PlatformError('model_unavailable', `The process of the tiny language model ${reason}; the log has more. Try again.`);
    loaded.reject(error);
    pending?.reject(error);
    pending = undefined;
    exited.resolve();
  };
  child.once('error', (error) => gone(`cannot be used (${error.message})`));
  child.once('exit', (code, signal) => gone(`ended (${signal ?? code})`));

  const send = (message: ToModelProcess): void => {
    if (child.connected) child.send(message);
  };
  child.on('message', (message: FromModelProcess) => {
    if (message.type === 'loaded') loaded.resolve(message.contextTokens);
    else if (message.type === 'failed' && message.id === undefined)
      loaded.reject(
        new PlatformError('model_unavailable', 'The tiny language model cannot be loaded on this machine; the log has the cause.'),
      );
    else if (pending !== undefined && message.id === pending.id) {
      if (message.type === 'text') return pending.onText(message.text);
      const { resolve, reject, signal } = pending;
      pending = undefined;
      if (message.type === 'done') resolve(message.generation);
      else if (message.type === 'aborted') reject(signal.reason);
      else {
        const { status, code, message: text, param } = message.error;
        reject(new OpenAiError(status, code, text, param === null ? {} : { param }));
      }
    }
  });

  const timer = setTimeout(() => child.kill('SIGKILL'), loadTimeoutMs);
  send({ type: 'load', ...config });
  const contextTokens = await loaded.promise
    .catch((error) => {
      child.kill('SIGKILL');
      throw error;
    })
    .finally(() => clearTimeout(timer));

  const generate: LoadedModel['generate'] = async (request, options) => {
    if (!child.connected) throw new PlatformError('model_unavailable', 'The process of the tiny language model has ended. Try again.');
    lastId += 1;
    const id = lastId;
    const abort = (): void => send({ type: 'abort', id });
    options.signal.addEventListener('abort', abort, { once: true });
    try {
      return await new Promise((resolve, reject) => {
        pending = { ...options, id, resolve, reject };
        send({ type: 'generate', id, request });
      });
    } finally {
      options.signal.removeEventListener('abort', abort);
    }
  };
  const close = (): Promise<void> => {
    child.kill('SIGKILL');
    return exited.promise;
  };
  return { contextTokens, generate, exited: exited.promise, close };
};
