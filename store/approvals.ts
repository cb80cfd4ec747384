import { and, asc, desc, eq, inArray, type SQL, sql } from 'drizzle-orm';
import type { Approval, ApprovalDecision, ApprovalQuery, ApprovalState } from '../schema/approval.ts';
import { PlatformError } from '../schema/errors.ts';
import type { Tenancy } from '../schema/ids.ts';
import { approvalDecisions, approvals } from '../schema/tables/tables.ts';
import { type Executor, guarded } from './database.ts';
import { digestOfText, type ExactCall, readExactCall } from './exact-call.ts';
import { type ContentKeys, unseal } from './secrets/seal.ts';

export type ApprovalKey = Tenancy & { id: string };
export type ApprovalRow = typeof approvals.$inferSelect;

export const atApproval = ({ org, project, id }: ApprovalKey) =>
  and(eq(approvals.org, org), eq(approvals.project, project), eq(approvals.id, id));

/** Open and past its time by the database's clock: expired, whether the sweep has said so or not. */
export const isOver: SQL<boolean> = sql<boolean>`${approvals.state} in ('pending', 'approved') and ${approvals.expiresAt} <= now()`;
export const stateNow: SQL<ApprovalState> = sql<ApprovalState>`case when ${isOver} then 'expired' else ${approvals.state} end`;

export const sealContext = ({ org, project, id }: ApprovalKey): string => `${org}/${project}/approval/${id}`;

const toApproval = (row: ApprovalRow, stateOf: ApprovalState, decisions: ApprovalDecision[]): Approval => {
  const { call: _call, consumedBy: _consumedBy, toldAt: _toldAt, requestedAt, expiresAt, decidedAt, consumedAt, ...rest } = row;
  return {
    ...rest,
    state: stateOf,
    requestedAt: requestedAt.toISOString(),
    expiresAt: expiresAt.toISOString(),
    decidedAt: decidedAt?.toISOString() ?? null,
    consumedAt: consumedAt?.toISOString() ?? null,
    decisions,
  };
};

const decisionsOf = async (executor: Executor, ids: string[]): Promise<Map<string, ApprovalDecision[]>> => {
  const rows =
    ids.length === 0
      ? []
      : await executor
          .select()
          .from(approvalDecisions)
          .where(inArray(approvalDecisions.approvalId, ids))
          .orderBy(asc(approvalDecisions.at), asc(approvalDecisions.person));
  const found = new Map<string, ApprovalDecision[]>();
  for (const { approvalId, person, verdict, at, stamp, comment } of rows)
    found.set(approvalId, [...(found.get(approvalId) ?? []), { person, verdict, at: at.toISOString(), stamp, comment }]);
  return found;
};

/** Reads approvals with what was answered, newest first. */
export const listApprovals = (executor: Executor, { org, project }: Tenancy, query: ApprovalQuery): Promise<Approval[]> =>
  guarded(async () => {
    const rows = await executor
      .select({ row: approvals, state: stateNow })
      .from(approvals)
      .where(
        and(
          eq(approvals.org, org),
          eq(approvals.project, project),
          query.state === 'all' ? undefined : sql`${stateNow} = ${query.state}`,
          query.run === undefined ? undefined : eq(approvals.run, query.run),
        ),
      )
      .orderBy(desc(approvals.requestedAt), desc(approvals.id))
      .limit(query.limit);
    const decisions = await decisionsOf(
      executor,
      rows.map(({ row }) => row.id),
    );
    return rows.map(({ row, state }) => toApproval(row, state, decisions.get(row.id) ?? []));
  });

export const noApproval = ({ org, project, id }: ApprovalKey): PlatformError =>
  new PlatformError(
    'not_found',
    `There is no approval ${id} in ${org}/${project}, or not for you; \`quarterdeck approvals ls --state all\` lists them.`,
  );

/** @throws {PlatformError} `not_found` */
export const getApproval = (executor: Executor, key: ApprovalKey): Promise<Approval> =>
  guarded(async () => {
    const [found] = await executor.select({ row: approvals, state: stateNow }).from(approvals).where(atApproval(key));
    if (!found) throw noApproval(key);
    return toApproval(found.row, found.state, (await decisionsOf(executor, [key.id])).get(key.id) ?? []);
  });

/**
 * Opens the text that an approval is of. What does not hash to the approval's digest is not shown to anybody.
 * @throws {PlatformError} `not_found`, `secret_unavailable`, `internal`
 */
export const openApprovedText = (executor: Executor, keys: ContentKeys, key: ApprovalKey): Promise<string> =>
  guarded(async () => {
    const [row] = await executor.select({ call: approvals.call, digest: approvals.digest }).from(approvals).where(atApproval(key));
    if (!row) throw noApproval(key);
    const text = unseal(keys, row.call, sealContext(key)).toString();
    if (digestOfText(text) !== row.digest)
      throw new PlatformError('internal', `What is stored of the approval ${key.id} is not what its digest is of.`);
    return text;
  });

/** Opens the call that an approval of a call is about. @throws {PlatformError} `not_found`, `secret_unavailable`, `internal` */
export const openApprovedCall = async (executor: Executor, keys: ContentKeys, key: ApprovalKey): Promise<ExactCall> =>
  readExactCall(await openApprovedText(executor, keys, key));

/** Until when each of these approvals can be answered; those that are over are not among them. */
export const listApprovalExpiries = (executor: Executor, ids: readonly string[]): Promise<Map<string, string>> =>
  guarded(async () => {
    if (ids.length === 0) return new Map();
    const rows = await executor
      .select({ id: approvals.id, expiresAt: approvals.expiresAt })
      .from(approvals)
      .where(and(inArray(approvals.id, [...ids]), sql`${stateNow} = 'pending'`));
    return new Map(rows.map(({ id, expiresAt }) => [id, expiresAt.toISOString()]));
  });
