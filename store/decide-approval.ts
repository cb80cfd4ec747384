import { eq, sql } from 'drizzle-orm';
import type { Approval, ApprovalRule, Verdict } from '../schema/approval.ts';
import type { NewAuditEvent } from '../schema/audit-event.ts';
import { PlatformError } from '../schema/errors.ts';
import { approvalDecisions, approvals } from '../schema/tables/tables.ts';
import { type ApprovalKey, atApproval, getApproval, noApproval, stateNow } from './approvals.ts';
import type { AuditLog } from './audit-log.ts';
import { type Database, guarded } from './database.ts';

export type Answer = {
  person: string;
  verdict: Verdict;
  /** Of the call that the person looked at. */
  digest: string;
  /** Policies whose rule counts this person. */
  policies: string[];
  stamp: string;
  comment: string | null;
  decisionId: string;
};

const over = (id: string, state: Approval['state'], message: string): PlatformError =>
  new PlatformError(state === 'expired' ? 'approval_expired' : 'conflict', `The approval ${id} ${message}`, {
    facts: { approvalId: id, approvalState: state },
  });

/** Whoever comes second is told who was first, and when. */
const answeredBy = (decisions: readonly { person: string; verdict: Verdict; at: Date }[]): string => {
  const told = decisions.map(
    ({ person, verdict, at }) => `${verdict === 'approve' ? 'approved' : 'denied'} by ${person} at ${at.toISOString()}`,
  );
  return told.length > 0 ? ` (${told.join(', ')})` : '';
};

/** Whether each rule has as many different people as it asks for. */
const isMet = (rules: readonly ApprovalRule[], approvers: readonly { policies: string[] }[], mayApproveOwn: boolean): boolean =>
  rules.every(({ policy, count }) => {
    const counted = approvers.filter(({ policies }) => policies.includes(policy)).length;
    // an installation of one person has nobody else to ask
    return counted >= (mayApproveOwn ? 1 : count);
  });

/**
 * Writes down a person's answer. One deny ends an approval, also after others approved, until its call is made; the last approval that
 * is asked for lets the call through. The same answer again changes nothing.
 * @param event - the audit row of the answer; it stands or falls with it
 * @throws {PlatformError} `conflict` when it is about another call, decided already, or was answered otherwise; `approval_expired`, `not_found`
 */
export const decideApproval = (
  database: Database,
  audit: AuditLog,
  key: ApprovalKey,
  { digest, ...answer }: Answer,
  event: NewAuditEvent,
  { mayApproveOwn }: { mayApproveOwn: boolean },
): Promise<Approval> =>
  guarded(() =>
    database.transaction(async (transaction) => {
      const { id } = key;
      const [row] = await transaction.select({ row: approvals, state: stateNow }).from(approvals).where(atApproval(key)).for('update');
      if (!row) throw noApproval(key);
      if (row.row.digest !== digest)
        throw over(id, row.state, 'has another digest than what you looked at; look again and decide about that.');
      const earlier = await transaction.select().from(approvalDecisions).where(eq(approvalDecisions.approvalId, id));
      const own = earlier.find(({ person }) => person === answer.person);
      if (own?.verdict === answer.verdict) return getApproval(transaction, key);
      const isOpen = row.state === 'pending' || (row.state === 'approved' && answer.verdict === 'deny');
      if (!isOpen) {
        const again =
          row.state === 'expired' && row.row.kind === 'call' ? ' Next: whoever calls makes the call anew, under another operation id.' : '';
        throw over(id, row.state, `is ${row.state} already${answeredBy(earlier)}; nothing was changed.${again}`);
      }
      const decision = { approvalId: id, ...answer };
      await transaction
        .insert(approvalDecisions)
        .values(decision)
        .onConflictDoUpdate({
          target: [approvalDecisions.approvalId, approvalDecisions.person],
          set: { ...answer, at: sql`now()` },
        });
      const others = earlier.filter(({ person, verdict }) => person !== answer.person && verdict === 'approve');
      const isApproved = answer.verdict === 'approve' && isMet(row.row.rules, [...others, answer], mayApproveOwn);
      if (answer.verdict === 'deny' || isApproved)
        await transaction
          .update(approvals)
          .set({ state: isApproved ? 'approved' : 'denied', decidedAt: sql`now()`, toldAt: null })
          .where(atApproval(key));
      await audit.append(transaction, [event]);
      return getApproval(transaction, key);
    }),
  );
