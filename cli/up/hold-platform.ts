import { releaseStartMemory } from '../processes/release-start-memory.ts';
import type { Platform, PlatformOptions } from './platform-options.ts';
import { startPlatform } from './start-platform.ts';

export const interruptedExitCode = 130;

/** One Ctrl-C under `npm run` arrives twice: from the terminal and from npm, which passes it on. */
const sameInterruptMs = 700;

/** Ctrl-C, `quarterdeck down`, and a terminal that is closed. */
const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Starts a platform and keeps it until Ctrl-C or SIGTERM; a second one kills everything at once. Nothing of it runs when this returns.
 * @param whileUp - called when it serves; a number that it returns ends the platform and is the exit code, nothing keeps it up.
 *   Its signal is aborted when the platform is being stopped.
 * @returns 0 when it was stopped while it served, 130 when it was interrupted before that or while `whileUp` was at work
 * @throws {PlatformError} what `startPlatform` and `whileUp` throw; everything is stopped by then
 */
export const holdPlatform = async (
  options: Omit<PlatformOptions, 'signal'>,
  whileUp: (platform: Platform, signal: AbortSignal) => Promise<number | undefined>,
): Promise<number> => {
  const stopping = new AbortController();
  const stopped = new Promise<void>((resolve) => stopping.signal.addEventListener('abort', () => resolve()));
  let platform: Platform | undefined;
  let stoppingSince = 0;
  const onSignal = (): void => {
    if (stopping.signal.aborted) {
      if (performance.now() - stoppingSince < sameInterruptMs) return;
      platform?.kill();
      process.exit(interruptedExitCode);
    }
    stoppingSince = performance.now();
    options.onLine('stopping; press Ctrl-C again to kill');
    stopping.abort(new Error('interrupted'));
  };
  for (const signal of stopSignals) process.on(signal, onSignal);
  try {
    platform = await startPlatform({ ...options, signal: stopping.signal });
    releaseStartMemory();
    let isAtWork = true;
    const work = whileUp(platform, stopping.signal).finally(() => {
      isAtWork = false;
    });
    const result = await Promise.race([work, stopped]);
    if (typeof result === 'number') return result;
    await stopped;
    return isAtWork ? interruptedExitCode : 0;
  } catch (error) {
    if (stopping.signal.aborted) return interruptedExitCode;
    throw error;
  } finally {
    await platform?.stop();
    for (const signal of stopSignals) process.off(signal, onSignal);
  }
};
