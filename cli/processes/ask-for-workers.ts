import { PlatformError } from '../../schema/errors.ts';
import type { ProcessMessage } from './messages.ts';

/**
 * Asks the supervisor of this process to start the workers anew. Where nobody supervises (Kubernetes does by itself) nothing is done.
 * @throws {PlatformError} `server_unavailable`
 */
export const askForWorkers = (): Promise<void> =>
  new Promise((resolve, reject) => {
    const fail = (cause?: unknown): void =>
      reject(
        new PlatformError('server_unavailable', 'Nobody supervises the workers from here; start them where they are deployed.', { cause }),
      );
    if (!process.send || !process.connected) return fail();
    process.send({ type: 'worker-restart-wanted' } satisfies ProcessMessage, undefined, undefined, (error) =>
      error ? fail(error) : resolve(),
    );
  });
