import type { ContentResealer } from '../../store/reseal-contents.ts';
import type { Logger } from '../../telemetry/logger.ts';

/** Of one sweep: the others have to come to their turn. */
const longestMs = 2_000;

/**
 * Wraps keys of orgs anew after the installation's was rotated, and seals documents anew after their org's was, as far as it comes in its time.
 */
export const createKeySweep = ({
  reseal,
  rewrap,
  clock,
  logger,
}: {
  reseal: ContentResealer;
  rewrap: () => Promise<number>;
  clock: () => Date;
  logger: Logger;
}) => {
  let lastFailed = 0;
  return async (): Promise<void> => {
    const rewrapped = await rewrap();
    if (rewrapped > 0) logger.info({ event: 'org-keys-rewrapped', count: rewrapped }, 'keys of orgs were wrapped anew');
    const until = clock().getTime() + longestMs;
    let resealed = 0;
    for (;;) {
      const done = await reseal();
      resealed += done.resealed;
      if (done.failed !== lastFailed && done.failed > 0)
        logger.error(
          { event: 'contents-unreadable', count: done.failed },
          'documents do not open with the keys of their orgs, and stay as they are',
        );
      lastFailed = done.failed;
      if (done.resealed === 0 || clock().getTime() >= until) break;
    }
    if (resealed > 0)
      logger.info({ event: 'contents-resealed', count: resealed }, 'documents were sealed anew with the active keys of their orgs');
  };
};
