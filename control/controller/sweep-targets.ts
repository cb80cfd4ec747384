import { toPlatformError } from '../../schema/errors.ts';
import type { TargetPhase } from '../../schema/reconcile/target-state.ts';
import type { Database } from '../../store/database.ts';
import { listOpenFixes } from '../../store/reconcile-fixes.ts';
import { forgetTarget, listDueTargets, listTargetRows, type TargetKey, type TargetRow } from '../../store/reconcile-targets.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { StartReconcile } from './look-at-target.ts';
import { targetKeyText } from './target-view.ts';

/** Phases in which a workflow is at work. */
const workingPhases: ReadonlySet<TargetPhase> = new Set(['drifted', 'fixing', 'diagnosing', 'awaiting-approval', 'verifying']);
/** In these nothing says that a fix is waited for. */
const isUnattended = (phase: TargetPhase): boolean => phase === 'clean' || phase === 'unknown';
/** So long a started workflow may take to say where it is, before it is asked for. */
const lostAfterMs = 30_000;
/** From one question after a workflow to the next. */
const askAgainMs = 60_000;

export type IsReconciling = (key: TargetKey) => Promise<boolean>;

/**
 * Starts the workflows of targets whose time has come, and those that were lost: a row says that somebody works, and nobody does. What is
 * declared no more is forgotten when nothing of it is open.
 */
export const createTargetSweep = ({
  database,
  startReconcile,
  isReconciling,
  isDeclared,
  clock,
  logger,
}: {
  database: Database;
  startReconcile: StartReconcile;
  isReconciling: IsReconciling;
  isDeclared: (name: string) => boolean;
  clock: () => Date;
  logger: Logger;
}): (() => Promise<void>) => {
  const startedAt = new Map<string, number>();
  const askedAt = new Map<string, number>();

  const start = async (key: TargetKey, why: string): Promise<void> => {
    const name = targetKeyText(key);
    const now = performance.now(); // a clock that is set back would start nothing for as long
    if (now - (startedAt.get(name) ?? Number.NEGATIVE_INFINITY) < lostAfterMs) return;
    await startReconcile(key);
    startedAt.set(name, now);
    logger.debug({ target: name, why }, 'a reconcile workflow was started');
  };

  const repeatLost = async (key: TargetKey): Promise<void> => {
    const name = targetKeyText(key);
    const now = performance.now();
    if (now - (askedAt.get(name) ?? Number.NEGATIVE_INFINITY) < askAgainMs) return;
    askedAt.set(name, now);
    if (!(await isReconciling(key))) await start(key, 'lost');
  };

  const trying = async (key: TargetKey, work: () => Promise<void>): Promise<void> =>
    work().catch((error) =>
      logger.warn(
        { code: toPlatformError(error).code, target: targetKeyText(key) },
        'a target could not be swept; the next sweep tries again',
      ),
    );

  return async () => {
    const now = clock();
    for (const key of await listDueTargets(database, now)) await trying(key, () => start(key, 'due'));
    const [rows, fixes] = await Promise.all([listTargetRows(database), listOpenFixes(database)]);
    const withFix = new Map(fixes.map((fix) => [targetKeyText(fix), fix]));
    const byName = new Map(rows.map((row) => [targetKeyText(row), row]));
    const isOld = (at: string): boolean => now.getTime() - Date.parse(at) >= lostAfterMs;
    // one that waits for its time, or that was left to people, has no workflow meanwhile
    const isLeft = (row: TargetRow | undefined): boolean => row !== undefined && (row.dueAt !== null || !isUnattended(row.phase));
    const lost = [
      ...rows.filter((row) => workingPhases.has(row.phase) && isOld(row.changedAt)),
      ...fixes.filter((fix) => fix.state !== 'asked' && isOld(fix.beganAt) && !isLeft(byName.get(targetKeyText(fix)))),
    ];
    for (const { org, project, target } of lost) await trying({ org, project, target }, () => repeatLost({ org, project, target }));
    // of what is declared no more whoever is asked is asked in vain, and what is under way ends
    for (const { org, project, target, ...fix } of fixes)
      if (!isDeclared(targetKeyText({ org, project, target })) && isOld(fix.beganAt))
        await trying({ org, project, target }, () => start({ org, project, target }, 'declared no more'));
    // what froze a target is not lifted by declaring it anew
    for (const row of rows)
      if (!row.frozen && !isDeclared(targetKeyText(row)) && !withFix.has(targetKeyText(row))) await forgetTarget(database, row);
    const known = new Set(rows.map(targetKeyText));
    for (const times of [startedAt, askedAt])
      for (const name of times.keys()) if (!known.has(name) && !withFix.has(name)) times.delete(name);
  };
};
