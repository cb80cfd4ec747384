import type { Answer } from './read-answer.ts';

/** Pauses before a stream is opened again. */
const firstPauseMs = 1000;
const longestPauseMs = 30_000;
/** A stream that stood so long was fine. */
const soundMs = 10_000;

export type StreamHooks = {
  /** The stream stands. */
  up(): void;
  /** It ended. `none`: the server gives no such stream, and is not asked again. */
  ended(how: 'again' | 'none'): void;
};

export type StandingStream = {
  readonly isUp: boolean;
  /** Whether it stands, once that is known for the first time. */
  readonly first: Promise<boolean>;
  close(): void;
};

/**
 * A stream that is to stand: it is opened, and opened again when it breaks, later and later.
 * @param open - begins to read it; `from` is the last event that was heard of
 * @param onUp - `isAgain` when something may have been missed meanwhile
 * @param onDown - it stood, and broke
 */
export const createStandingStream = ({
  open,
  onUp,
  onDown,
}: {
  open(hooks: StreamHooks, from: string | undefined): Answer;
  onUp?(isAgain: boolean): void;
  onDown?(): void;
}): StandingStream => {
  const { promise: first, resolve } = Promise.withResolvers<boolean>();
  let answer: Answer | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let upAt: number | undefined;
  let wasUp = false;
  let failures = 0;
  let isClosed = false;

  const ended = (how: 'again' | 'none'): void => {
    if (isClosed) return;
    const stoodMs = upAt === undefined ? 0 : performance.now() - upAt;
    const stood = upAt !== undefined;
    upAt = undefined;
    resolve(false);
    if (stood) onDown?.();
    if (how === 'none' || isClosed) return;
    failures = stoodMs > soundMs ? 0 : failures + 1;
    const backoffMs = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.max(0, failures - 1)) * (0.8 + Math.random() * 0.4);
    timer = setTimeout(begin, Math.max(answer?.retryMs ?? 0, backoffMs));
    timer.unref();
  };
  const begin = (): void => {
    const from = answer?.eventId;
    answer = open(
      {
        up: () => {
          if (isClosed || upAt !== undefined) return;
          upAt = performance.now();
          resolve(true);
          onUp?.(wasUp);
          wasUp = true;
        },
        ended,
      },
      from,
    );
  };
  begin();

  return {
    get isUp() {
      return upAt !== undefined;
    },
    first,
    close: () => {
      isClosed = true;
      clearTimeout(timer);
      resolve(false);
      answer?.abort();
    },
  };
};
