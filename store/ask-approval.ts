import { randomBytes } from 'node:crypto';
import { and, desc, eq, gt, sql } from 'drizzle-orm';
import type { ApprovalNeed, ApprovalState } from '../schema/approval.ts';
import type { NewAuditEvent } from '../schema/audit-event.ts';
import { PlatformError } from '../schema/errors.ts';
import { approvalIdFrom, type Tenancy } from '../schema/ids.ts';
import { approvalDecisions, approvals, operations } from '../schema/tables/tables.ts';
import { type ApprovalRow, isOver, sealContext, stateNow } from './approvals.ts';
import type { AuditLog } from './audit-log.ts';
import { type Database, type Executor, guarded } from './database.ts';
import { expireWhere } from './expire-approvals.ts';
import { isOperation, type OperationKey } from './operation-outcome.ts';
import { type ContentKeys, seal } from './secrets/seal.ts';

/** Tells a retry of a call from another: who calls what exactly, and under which operation id (empty where the caller named none). */
export type CallKey = Tenancy & { principal: string; operationId: string; digest: string };

export type CallToApprove = CallKey &
  Partial<Pick<ApprovalRow, 'kind' | 'subject'>> &
  Pick<
    ApprovalRow,
    'person' | 'agent' | 'role' | 'fleet' | 'run' | 'toolset' | 'server' | 'tool' | 'definitionHash' | 'argumentsDigest' | 'decisionId'
  > & { /** What the digest is of. */ text: string; need: ApprovalNeed };

export type CallApproval = { id: string; state: ApprovalState; expiresAt: Date; consumedBy: string | null };

const atCall = ({ org, project, principal, operationId, digest }: CallKey) =>
  and(
    eq(approvals.org, org),
    eq(approvals.project, project),
    eq(approvals.principal, principal),
    eq(approvals.operationId, operationId),
    eq(approvals.digest, digest),
  );

/** Who is asked all the time stops looking: so many calls of one caller may wait at once. */
const mostOpen = 25;

/** @throws {PlatformError} `approvals_exhausted` */
const assertRoom = async (executor: Executor, { org, project, principal }: CallKey): Promise<void> => {
  const isOpenOfCaller = and(
    eq(approvals.org, org),
    eq(approvals.project, project),
    eq(approvals.principal, principal),
    eq(approvals.state, 'pending'),
    gt(approvals.expiresAt, sql`now()`),
  );
  const open = await executor.select({ id: approvals.id }).from(approvals).where(isOpenOfCaller).limit(mostOpen);
  if (open.length >= mostOpen)
    throw new PlatformError('approvals_exhausted', `${mostOpen} calls of this caller wait for people already; no more are asked about.`);
};

/** The approval of a call as it stands; of a call without an id the newest. */
const findIn = async (executor: Executor, key: CallKey): Promise<(CallApproval & { isRecent: boolean }) | undefined> => {
  const { id, expiresAt, consumedBy } = approvals;
  const [row] = await executor
    .select({ id, state: stateNow, expiresAt, consumedBy, isRecent: sql<boolean>`${approvals.expiresAt} > now()` })
    .from(approvals)
    .where(atCall(key))
    .orderBy(desc(approvals.requestedAt), desc(approvals.id))
    .limit(1);
  return row;
};

/** A call without an id asks anew once its earlier approval is used up or over; a denial holds for the time that was given to decide. */
const stillAnswers = ({ operationId }: CallKey, { state, isRecent }: { state: ApprovalState; isRecent: boolean }): boolean =>
  operationId !== '' || state === 'pending' || state === 'approved' || (state === 'denied' && isRecent);

/**
 * The gateway's side of approvals: asks for one, finds it again, and uses it up.
 * @param keys - shared with the api, which shows the call to approvers
 */
export const createApprovalAsks = (database: Database, audit: AuditLog, keys: ContentKeys) => ({
  /**
   * The approval of this very call, made where there is none yet. `event` goes into the audit with a new one.
   * @throws {PlatformError} `approvals_exhausted` for a caller of whom too many calls wait
   */
  ask: (call: CallToApprove, event: NewAuditEvent): Promise<CallApproval> =>
    guarded(() =>
      database.transaction(async (transaction) => {
        const { text, need, ...row } = call;
        for (;;) {
          const found = await findIn(transaction, call);
          if (found && stillAnswers(call, found)) return found;
          // one that is over by the clock stands in the way of the next until it is called so
          await expireWhere(transaction, audit, and(atCall(call), isOver));
          await assertRoom(transaction, call);
          const id = approvalIdFrom(randomBytes(10));
          const [made] = await transaction
            .insert(approvals)
            .values({
              ...row,
              id,
              call: seal(keys, Buffer.from(text), sealContext({ ...call, id })),
              rules: need.rules,
              reason: need.reason,
              expiresAt: sql`now() + make_interval(secs => ${need.expiresInSeconds})`,
            })
            .onConflictDoNothing()
            .returning({ id: approvals.id, expiresAt: approvals.expiresAt });
          // another replica asked at the same moment: its row is the one
          if (!made) continue;
          const facts = { digest: call.digest, expiresAt: made.expiresAt.toISOString(), rules: need.rules };
          await audit.append(transaction, [{ ...event, resource: `Approval/${made.id}`, facts }]);
          return { ...made, state: 'pending', consumedBy: null };
        }
      }),
    ),

  /** Who approved, by id. */
  approversOf: (id: string): Promise<string[]> =>
    guarded(async () => {
      const rows = await database
        .select({ person: approvalDecisions.person })
        .from(approvalDecisions)
        .where(and(eq(approvalDecisions.approvalId, id), eq(approvalDecisions.verdict, 'approve')))
        .orderBy(approvalDecisions.person);
      return rows.map(({ person }) => person);
    }),

  /** Uses an approval up for one operation: of all who try, at all replicas, one gets true. */
  consume: (id: string, operationId: string, event: NewAuditEvent): Promise<boolean> =>
    guarded(() =>
      database.transaction(async (transaction) => {
        const rows = await transaction
          .update(approvals)
          .set({ state: 'consumed', consumedBy: operationId, consumedAt: sql`now()` })
          .where(and(eq(approvals.id, id), eq(approvals.state, 'approved'), sql`${approvals.expiresAt} > now()`))
          .returning({ id: approvals.id });
        if (rows.length === 0) return false;
        await audit.append(transaction, [{ ...event, resource: `Approval/${id}` }]);
        return true;
      }),
    ),

  /** Whether the operation that used an approval up was begun, so that a retry finds what became of it. */
  wasBegun: (key: OperationKey): Promise<boolean> =>
    guarded(async () => (await database.select({ id: operations.id }).from(operations).where(isOperation(key))).length > 0),
});
export type ApprovalAsks = ReturnType<typeof createApprovalAsks>;
