import { and, desc, eq, inArray, isNotNull, sql } from 'drizzle-orm';
import type { Tenancy } from '../schema/ids.ts';
import type { Fix } from '../schema/reconcile/fix.ts';
import type { ReconcileRuleSpec } from '../schema/resources/reconcile-rule.ts';
import { approvalDecisions, reconcileFixes, resources } from '../schema/tables/tables.ts';
import { type Database, type Executor, guarded } from './database.ts';
import { toFix } from './reconcile-fixes.ts';
import { submittersOf } from './resources.ts';

/** More attempts than these say nothing new. */
const mostAttempts = 200;

/** Ended attempts at one kind of fault with the same operations, in all targets of a project, newest first, with who approved each. */
export const listRepeats = (
  executor: Executor,
  { org, project }: Tenancy,
  { faultKind, normalDigest }: Pick<Fix, 'faultKind' | 'normalDigest'>,
): Promise<(Fix & { approvers: string[] })[]> =>
  guarded(async () => {
    const rows = await executor
      .select()
      .from(reconcileFixes)
      .where(
        and(
          eq(reconcileFixes.org, org),
          eq(reconcileFixes.project, project),
          eq(reconcileFixes.faultKind, faultKind),
          eq(reconcileFixes.normalDigest, normalDigest),
          isNotNull(reconcileFixes.endedAt),
        ),
      )
      .orderBy(desc(reconcileFixes.beganAt), desc(reconcileFixes.id))
      .limit(mostAttempts);
    const approvalIds = rows.flatMap(({ approvalId }) => approvalId ?? []);
    const answers =
      approvalIds.length === 0
        ? []
        : await executor
            .select({ approvalId: approvalDecisions.approvalId, person: approvalDecisions.person })
            .from(approvalDecisions)
            .where(and(inArray(approvalDecisions.approvalId, approvalIds), eq(approvalDecisions.verdict, 'approve')));
    const people = Map.groupBy(answers, ({ approvalId }) => approvalId);
    return rows.map((row) => ({ ...toFix(row), approvers: (people.get(row.approvalId ?? '') ?? []).map(({ person }) => person) }));
  });

type RuleKey = Tenancy & { name: string };
const atRule = ({ org, project, name }: RuleKey) =>
  and(eq(resources.org, org), eq(resources.project, project), eq(resources.kind, 'ReconcileRule'), eq(resources.name, name));

/**
 * Puts a drafted rule down, once: one of that name that is there, in whatever state, stays as it is.
 * @returns whether it was put down
 */
export const insertDraft = (executor: Executor, { org, project, name }: RuleKey, spec: ReconcileRuleSpec): Promise<boolean> =>
  guarded(async () => {
    const made = await executor
      .insert(resources)
      .values({
        ...{ org, project, name, spec },
        kind: 'ReconcileRule',
        labels: {},
        annotations: {},
        status: { observedGeneration: 0, conditions: [] },
      })
      .onConflictDoNothing()
      .returning({ name: resources.name });
    return made.length > 0;
  });

/**
 * Changes what one rule is, out of what it is at that moment.
 * @param change - returns undefined where nothing is to be changed
 * @param appliedBy - the person whose doing it is, null for nobody's
 * @returns the rule as it is now; undefined where there is none, or nothing was changed
 */
export const changeRule = (
  database: Pick<Database, 'transaction'>,
  key: RuleKey,
  change: (spec: ReconcileRuleSpec) => ReconcileRuleSpec | undefined,
  appliedBy: string | null,
): Promise<ReconcileRuleSpec | undefined> =>
  guarded(() =>
    database.transaction(async (transaction) => {
      const [row] = await transaction
        .select({ spec: resources.spec, submitters: resources.submitters, appliedBy: resources.appliedBy })
        .from(resources)
        .where(atRule(key))
        .for('update');
      const spec = row && change(row.spec as ReconcileRuleSpec);
      if (!row || spec === undefined) return undefined;
      await transaction
        .update(resources)
        .set({
          spec,
          appliedBy,
          submitters: submittersOf(row, appliedBy),
          generation: sql`${resources.generation} + 1`,
          updatedAt: sql`now()`,
        })
        .where(atRule(key));
      return spec;
    }),
  );
