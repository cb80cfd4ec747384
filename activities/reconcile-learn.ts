import { createHash } from 'node:crypto';
import { draftRule } from '../reconcile/learning/draft-rule.ts';
import { countRepeats, isAgainstRule, isLearnt, isTeaching } from '../reconcile/learning/judge-repeats.ts';
import type { NewAuditEvent } from '../schema/audit-event.ts';
import type { Fix } from '../schema/reconcile/fix.ts';
import type { AuditLog } from '../store/audit-log.ts';
import type { Database } from '../store/database.ts';
import { changeRule, insertDraft, listRepeats } from '../store/reconcile-learning.ts';

/** What a fix taught: a rule that people may promote, one that must not act any more, or nothing. */
export type Lesson = { kind: 'nothing' } | { kind: 'drafted' | 'demoted'; rule: string };

/** The same for one fix of one kind of fault, so that it is drafted once whoever is first. */
export const draftNameOf = ({ faultKind, normalDigest }: Pick<Fix, 'faultKind' | 'normalDigest'>): string =>
  `learned-${createHash('sha256').update(`${faultKind}\n${normalDigest}`).digest('hex').slice(0, 12)}`;

/**
 * Learns from a fix that has ended; told twice it learns once. A fix that people approved and that held, often enough, becomes the draft of a
 * rule (`enoughRepeats`); a learned rule whose effect did not show or was taken back is demoted at its first failure. Both go on record.
 */
export const createLearnFromFix = ({
  database,
  audit,
  newDecisionId,
}: {
  database: Database;
  audit: Pick<AuditLog, 'append'>;
  newDecisionId: () => string;
}) => {
  const record = (within: Database, fix: Fix, rule: string, facts: NewAuditEvent['facts']): Promise<void> =>
    audit.append(within, [
      {
        ...{ org: fix.org, project: fix.project },
        ...({ kind: 'change', decision: 'allow', outcome: 'ok', action: 'learnRule' } as const),
        decisionId: newDecisionId(),
        resource: `ReconcileRule/${rule}`,
        operationId: fix.id,
        ...(facts ? { facts } : {}),
      },
    ]);

  const demote = async (fix: Fix, rule: string): Promise<Lesson> =>
    database.transaction(async (transaction) => {
      const within = transaction as unknown as Database;
      const place = { org: fix.org, project: fix.project };
      const demoted = await changeRule(
        within,
        { ...place, name: rule },
        (spec) =>
          // a rule that people wrote is theirs to take back
          spec.origin !== undefined && spec.state === 'live'
            ? { ...spec, state: 'demoted', demotedBy: `${fix.id} ended ${fix.state} on ${fix.target}` }
            : undefined,
        null,
      );
      if (demoted === undefined) return { kind: 'nothing' };
      await record(within, fix, rule, { change: 'demoted', fix: fix.id, state: fix.state, target: fix.target });
      return { kind: 'demoted', rule };
    });

  const draft = async (fix: Fix): Promise<Lesson> => {
    const place = { org: fix.org, project: fix.project };
    const attempts = await listRepeats(database, place, fix);
    const repeats = countRepeats(attempts);
    if (!isLearnt(repeats)) return { kind: 'nothing' };
    const drafted = draftRule(attempts.filter(isTeaching), fix.normalDigest);
    if (!drafted.ok) return { kind: 'nothing' };
    const name = draftNameOf(fix);
    return database.transaction(async (transaction) => {
      const within = transaction as unknown as Database;
      if (!(await insertDraft(within, { ...place, name }, drafted.spec))) return { kind: 'nothing' };
      const { fixes, people, targets } = repeats;
      await record(within, fix, name, { change: 'drafted', fixes, people, targets, faultKind: fix.faultKind });
      return { kind: 'drafted', rule: name };
    });
  };

  return async (fix: Fix): Promise<Lesson> => {
    if (fix.plan?.source.kind === 'rule') return isAgainstRule(fix) ? demote(fix, fix.plan.source.rule) : { kind: 'nothing' };
    return fix.state === 'fixed' && fix.normalDigest !== '' ? draft(fix) : { kind: 'nothing' };
  };
};
export type LearnFromFix = ReturnType<typeof createLearnFromFix>;
