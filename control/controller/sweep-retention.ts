import type { Tenancy } from '../../schema/ids.ts';
import { leastKeptMs, type RetentionSpec, retainedKinds, retentionFields } from '../../schema/retention.ts';
import type { AuditLog } from '../../store/audit-log.ts';
import type { ContentStore } from '../../store/contents.ts';
import type { Database } from '../../store/database.ts';
import { keepReferred } from '../../store/keep-referred.ts';
import { removeOld } from '../../store/remove-old.ts';
import { countDue, listRetention } from '../../store/retention-report.ts';
import type { Logger } from '../../telemetry/logger.ts';

/** Once all is done, so long nothing is looked at. */
const intervalMs = 600_000;
/** Of one sweep: the others have to come to their turn. */
const longestMs = 2_000;

/** Until when what is kept for so many days goes. */
export const removedBefore = (days: number, now: Date): Date => new Date(now.getTime() - Math.max(days * 86_400_000, leastKeptMs));

/**
 * Removes what projects do not keep any more, a few rows at a time, for as long as its turn is, and goes on with the next sweep; when all is
 * done it looks again after ten minutes. A project that is held loses nothing. What cannot be removed in one project holds up no other.
 */
export const createRetentionSweep = ({
  database,
  audit,
  contents,
  clock,
  logger,
}: {
  database: Database;
  audit: AuditLog;
  contents: ContentStore;
  clock: () => Date;
  logger: Logger;
}): (() => Promise<void>) => {
  let doneAt = Number.NEGATIVE_INFINITY;

  /** @returns whether it has come to its end */
  const removeFrom = async (project: Tenancy, retention: RetentionSpec, until: number): Promise<boolean> => {
    for (const what of retainedKinds) {
      const days = retention[retentionFields[what]];
      if (days === undefined) continue;
      const at = clock();
      const before = removedBefore(days, at);
      // what is still referred to may be as old: it is marked first, and only where something would go
      if (what === 'contents' && (await countDue(database, project, what, before)) > 0)
        await keepReferred({ database, contents }, project, { before, at });
      let removed = 0;
      for (;;) {
        const rows = await removeOld({ database, audit }, project, what, { before, at });
        removed += rows;
        if (rows === 0 || clock().getTime() >= until) break;
      }
      if (removed > 0)
        logger.info(
          { event: 'removed-by-retention', org: project.org, project: project.project, what, count: removed },
          'retention removed rows',
        );
      if (clock().getTime() >= until) return false;
    }
    return true;
  };

  return async () => {
    const begun = clock().getTime();
    if (begun - doneAt < intervalMs) return;
    const until = begun + longestMs;
    let isDone = true;
    for (const { retention, ...project } of await listRetention(database)) {
      if (retention.hold) continue;
      try {
        isDone = (await removeFrom(project, retention, until)) && isDone;
      } catch (error) {
        logger.error({ err: error, org: project.org, project: project.project }, 'retention of a project failed; it is tried again');
      }
      if (clock().getTime() >= until) return;
    }
    if (isDone) doneAt = begun;
  };
};
