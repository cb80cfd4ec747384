import { PlatformError } from '../../schema/errors.ts';
import type { LoadedModel, ModelEngine } from './generation.ts';
import { OpenAiError } from './openai-error.ts';
import { createTurnQueue } from './turn-queue.ts';

/** A machine's clock, or a test's. */
export type Timers = { setTimeout(callback: () => void, delayMs: number): unknown; clearTimeout(timer: unknown): void };

const systemTimers: Timers = {
  // It keeps nothing alive: a process that is done must be able to end while a model is in memory.
  setTimeout: (callback, delayMs) => setTimeout(callback, delayMs).unref(),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
};

const maximumWaiting = 32;
const retryAfterSeconds = 15;

/**
 * Loads a model at the first request, answers one request at a time, and lets the model go when nobody has asked for `idleMs`, or when it
 * crashed; the next request loads it again.
 * @param load - throws {PlatformError} `model_unavailable`
 * @returns an engine whose `generate` throws {OpenAiError} 429 when 32 requests wait already
 */
export const createLazyEngine = ({
  load,
  idleMs = 300_000,
  timers = systemTimers,
}: {
  load: () => Promise<LoadedModel>;
  idleMs?: number;
  timers?: Timers;
}): ModelEngine => {
  const turns = createTurnQueue(
    maximumWaiting,
    () =>
      new OpenAiError(429, 'rate_limit_exceeded', `The local model has ${maximumWaiting} requests waiting. Try again later.`, {
        retryAfterSeconds,
      }),
  );
  let model: LoadedModel | undefined;
  let idleTimer: unknown;
  let isClosed = false;
  const unload = async (): Promise<void> => {
    const loaded = model;
    model = undefined;
    await loaded?.close();
  };
  const loadedModel = async (): Promise<LoadedModel> => {
    if (model !== undefined) return model;
    const loaded = await load();
    if (isClosed) {
      await loaded.close();
      throw new PlatformError('model_unavailable', 'The server of the tiny language model is stopping.');
    }
    model = loaded;
    void loaded.exited.then(() => {
      if (model === loaded) model = undefined;
    });
    return loaded;
  };
  return {
    get isLoaded() {
      return model !== undefined;
    },
    async generate(request, options) {
      const endTurn = await turns.take(options.signal);
      timers.clearTimeout(idleTimer);
      try {
        const loaded = await loadedModel();
        options.signal.throwIfAborted();
        return await loaded.generate(request, options);
      } finally {
        endTurn();
        if (!turns.isBusy) idleTimer = timers.setTimeout(() => void unload(), idleMs);
      }
    },
    async close() {
      isClosed = true;
      timers.clearTimeout(idleTimer);
      await unload();
    },
  };
};
