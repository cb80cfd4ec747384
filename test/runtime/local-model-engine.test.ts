import { describe, expect, test } from 'vitest';
import type { Generation, GenerationRequest, LoadedModel } from '../../runtime/local-model/generation.ts';
import { createLazyEngine } from '../../runtime/local-model/lazy-engine.ts';

const request: GenerationRequest = { messages: [], maxTokens: 1, temperature: 0 };
const generation: Generation = { text: 'done', finishReason: 'stop', promptTokens: 1, completionTokens: 1 };

/** An engine over models that answer when the test says so, and a clock that the test moves. */
const createEngine = () => {
  const models: { closed: boolean; crash(): void; answer: PromiseWithResolvers<Generation>[] }[] = [];
  const load = async (): Promise<LoadedModel> => {
    const exit = Promise.withResolvers<void>();
    const model = { closed: false, crash: exit.resolve, answer: [] as PromiseWithResolvers<Generation>[] };
    models.push(model);
    return {
      contextTokens: 10,
      exited: exit.promise,
      generate: () => {
        const answer = Promise.withResolvers<Generation>();
        model.answer.push(answer);
        return answer.promise;
      },
      close: async () => {
        model.closed = true;
        exit.resolve();
      },
    };
  };
  let timer: { callback: () => void; delayMs: number } | undefined;
  const timers = {
    setTimeout: (callback: () => void, delayMs: number) => {
      timer = { callback, delayMs };
      return timer;
    },
    clearTimeout: () => {
      timer = undefined;
    },
  };
  const engine = createLazyEngine({ load, idleMs: 300_000, timers });
  const ask = (signal = new AbortController().signal) => engine.generate(request, { signal, onText: () => {} });
  const answered = (model: number, at: number) => expect.poll(() => models[model]?.answer[at]);
  const finish = async (model: number, at: number): Promise<void> => {
    await answered(model, at).toBeDefined();
    models[model]?.answer[at]?.resolve(generation);
  };
  return { engine, models, ask, finish, answered, idle: () => timer };
};

describe('a model that is loaded when it is needed', () => {
  test('is loaded by the first request, and let go when nobody asks for five minutes', async () => {
    const { engine, models, ask, finish, idle } = createEngine();
    expect([engine.isLoaded, models.length]).toEqual([false, 0]);
    const first = ask();
    await finish(0, 0);
    expect(await first).toEqual(generation);
    expect([engine.isLoaded, idle()?.delayMs]).toEqual([true, 300_000]);

    const second = ask();
    await finish(0, 1);
    await second;
    idle()?.callback();
    await expect.poll(() => models[0]?.closed).toBe(true);
    expect(engine.isLoaded).toBe(false);

    const third = ask();
    await finish(1, 0);
    await third;
    expect(models.length).toBe(2);
  });

  test('is not let go while somebody waits for it', async () => {
    const { ask, finish, answered, idle } = createEngine();
    const [first, second] = [ask(), ask()];
    await finish(0, 0);
    await first;
    await answered(0, 1).toBeDefined();
    expect(idle()).toBeUndefined();
    await finish(0, 1);
    await second;
    expect(idle()).toBeDefined();
  });

  test('is loaded again after it crashed', async () => {
    const { engine, models, ask, finish, answered } = createEngine();
    const first = ask();
    await answered(0, 0).toBeDefined();
    models[0]?.answer[0]?.reject(new Error('crashed'));
    models[0]?.crash();
    await expect(first).rejects.toThrow('crashed');
    expect(engine.isLoaded).toBe(false);
    const second = ask();
    await finish(1, 0);
    await second;
  });

  test('answers one request at a time in the order they came, and refuses the one after 32 that wait', async () => {
    const { models, ask, finish } = createEngine();
    const order: number[] = [];
    const asked = Array.from({ length: 33 }, (_, at) => ask().then(() => order.push(at)));
    await expect.poll(() => models[0]?.answer.length).toBe(1);
    await expect(ask()).rejects.toThrow(expect.objectContaining({ status: 429, code: 'rate_limit_exceeded', retryAfterSeconds: 15 }));
    for (let at = 0; at < 33; at++) await finish(0, at);
    await Promise.all(asked);
    expect(order).toEqual(Array.from({ length: 33 }, (_, at) => at));
  });

  test('forgets a request whose caller left while it waited', async () => {
    const { models, ask, finish, answered } = createEngine();
    const caller = new AbortController();
    const [first, left, last] = [ask(), ask(caller.signal), ask()];
    await answered(0, 0).toBeDefined();
    caller.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    await expect(ask(caller.signal)).rejects.toThrow('gone');
    await finish(0, 0);
    await finish(0, 1);
    await Promise.all([first, last]);
    expect(models[0]?.answer.length).toBe(2);
  });

  test('does not stay behind when the server stops while it is being loaded', async () => {
    const { engine, models, ask } = createEngine();
    const asked = ask();
    const closed = engine.close();
    await expect(asked).rejects.toThrow(expect.objectContaining({ code: 'model_unavailable' }));
    await closed;
    expect(models.map(({ closed: isClosed }) => isClosed)).toEqual([true]);
  });
});
