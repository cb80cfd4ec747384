import { and, desc, eq, gte, inArray, isNull, sql } from 'drizzle-orm';
import type { Tenancy } from '../schema/ids.ts';
import type { Fix } from '../schema/reconcile/fix.ts';
import type { FixState } from '../schema/reconcile/target-state.ts';
import { reconcileFixes } from '../schema/tables/tables.ts';
import { type Database, type Executor, guarded } from './database.ts';
import { type TargetKey, underFence } from './reconcile-targets.ts';

export type NewFix = TargetKey & Pick<Fix, 'id' | 'fingerprint' | 'faultKind' | 'state'>;
/** What is known of a fix later than its beginning. */
export type FixPatch = Partial<
  Pick<
    Fix,
    | 'plan'
    | 'planDigest'
    | 'normalDigest'
    | 'faults'
    | 'review'
    | 'evidenceDigest'
    | 'approvalId'
    | 'writers'
    | 'decisionId'
    | 'policyVersion'
    | 'costMicroUsd'
    | 'modelCalls'
    | 'seenDigest'
    | 'endsAs'
    | 'message'
  >
>;
/** `elsewhere`: it is in none of the states that were named. `lost`: another has taken the target. */
export type Moved = 'moved' | 'elsewhere' | 'lost';

const { org, project, target, id, fingerprint, state, beganAt, endedAt } = reconcileFixes;
const ofTarget = (key: TargetKey) => and(eq(org, key.org), eq(project, key.project), eq(target, key.target));

export const toFix = ({ beganAt: began, endedAt: ended, ...row }: typeof reconcileFixes.$inferSelect): Fix => ({
  ...row,
  beganAt: began.toISOString(),
  endedAt: ended?.toISOString() ?? null,
});

/**
 * Opens an attempt at one fault with all that it begins with, or finds the one that is open: however often and by however many a fault is
 * seen, there is one, and there is none that is half begun.
 * @returns undefined where another has taken the target
 */
export const openFix = async (
  database: Pick<Database, 'transaction'>,
  fix: NewFix & FixPatch,
  fence: number,
): Promise<{ fix: Fix; isNew: boolean } | undefined> => {
  const opened = await underFence(database, fix, fence, async (executor) => {
    const [made] = await executor.insert(reconcileFixes).values(fix).onConflictDoNothing().returning();
    if (made) return { fix: toFix(made), isNew: true };
    const isOpen = and(ofTarget(fix), eq(fingerprint, fix.fingerprint), isNull(endedAt));
    const [open] = await executor.select().from(reconcileFixes).where(isOpen);
    return open && { fix: toFix(open), isNew: false };
  });
  return opened.held ? opened.value : undefined;
};

/** What stands or falls with a move: people are told, approvals are closed. Between the two nobody is killed. */
export type Also = (executor: Executor) => Promise<unknown>;
const nothing: Also = async () => undefined;

const change = async (
  database: Pick<Database, 'transaction'>,
  key: TargetKey & { id: string },
  from: readonly FixState[] | undefined,
  set: FixPatch & { state?: FixState },
  isEnd: boolean,
  fence: number,
  also: Also,
): Promise<Moved> => {
  const moved = await underFence(database, key, fence, async (executor) => {
    const isAt = and(ofTarget(key), eq(id, key.id), isNull(endedAt), from ? inArray(state, [...from]) : undefined);
    const rows = await executor
      .update(reconcileFixes)
      .set({ ...set, ...(isEnd ? { endedAt: sql`now()` } : {}) })
      .where(isAt);
    if ((rows.rowCount ?? 0) === 0) return false;
    await also(executor);
    return true;
  });
  return !moved.held ? 'lost' : moved.value ? 'moved' : 'elsewhere';
};

/** Moves an open fix on. A retry names the state that it moves to among those that it may come from. */
export const moveFix = (
  database: Pick<Database, 'transaction'>,
  key: TargetKey & { id: string },
  from: readonly FixState[],
  to: FixState,
  patch: FixPatch,
  fence: number,
  also = nothing,
): Promise<Moved> => change(database, key, from, { ...patch, state: to }, false, fence, also);

/** Ends a fix; what ended stays as it is. */
export const closeFix = (
  database: Pick<Database, 'transaction'>,
  key: TargetKey & { id: string },
  to: FixState,
  patch: FixPatch,
  fence: number,
  also = nothing,
): Promise<Moved> => change(database, key, undefined, { ...patch, state: to }, true, fence, also);

export const findFix = (executor: Executor, fixId: string): Promise<Fix | undefined> =>
  guarded(async () => {
    const [row] = await executor.select().from(reconcileFixes).where(eq(id, fixId));
    return row && toFix(row);
  });

/** The history of a target, or of all of a project, newest first. */
export const listFixes = (
  executor: Executor,
  place: Tenancy,
  name: string | undefined,
  { sinceAt, limit = 200 }: { sinceAt?: Date; limit?: number } = {},
): Promise<Fix[]> =>
  guarded(async () => {
    const rows = await executor
      .select()
      .from(reconcileFixes)
      .where(
        and(
          eq(org, place.org),
          eq(project, place.project),
          name === undefined ? undefined : eq(target, name),
          sinceAt ? gte(beganAt, sinceAt) : undefined,
        ),
      )
      .orderBy(desc(beganAt), desc(id))
      .limit(limit);
    return rows.map(toFix);
  });

/** Fixes of a target that may have made something other than it is declared: on their way there or verified, however old, the newest of them. */
export const listStandingFixes = (executor: Executor, key: TargetKey, limit = 500): Promise<Fix[]> =>
  guarded(async () => {
    const isStanding = and(
      ofTarget(key),
      inArray(state, ['applying', 'verifying', 'fixed']),
      // what only applied again what is declared made nothing else of it
      sql`jsonb_path_exists(${reconcileFixes.plan}, '$.steps[*].operation ? (@.op != "reapply")')`,
    );
    return (await executor.select().from(reconcileFixes).where(isStanding).orderBy(desc(beganAt)).limit(limit)).map(toFix);
  });

/** Fixes that are under way, of a target, a project or all, the oldest first. */
export const listOpenFixes = (executor: Executor, place: Partial<TargetKey> = {}): Promise<Fix[]> =>
  guarded(async () => {
    const isOf = and(
      isNull(endedAt),
      place.org ? eq(org, place.org) : undefined,
      place.project ? eq(project, place.project) : undefined,
      place.target ? eq(target, place.target) : undefined,
    );
    return (await executor.select().from(reconcileFixes).where(isOf).orderBy(beganAt, id)).map(toFix);
  });

/** The fix that an approval was asked for; undefined where it was not asked for one. */
export const findFixOfApproval = (executor: Executor, place: Tenancy, approvalId: string): Promise<Fix | undefined> =>
  guarded(async () => {
    const isOf = and(eq(org, place.org), eq(project, place.project), eq(reconcileFixes.approvalId, approvalId));
    const [row] = await executor.select().from(reconcileFixes).where(isOf);
    return row && toFix(row);
  });
