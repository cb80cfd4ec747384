import { describeStep } from '../../reconcile/describe-step.ts';
import { faultSince } from '../../reconcile/fault-since.ts';
import { driftText, dryRunLines, proposerText, undoTexts } from '../../reconcile/fix-text.ts';
import type { WhyEscalate } from '../../reconcile/what-now-types.ts';
import type { Approval } from '../../schema/approval.ts';
import { withHiddenShown } from '../../schema/hidden-characters.ts';
import type { ShownFix } from '../../schema/reconcile/shown-fix.ts';
import type { Database } from '../../store/database.ts';
import { findReconcileContact } from '../../store/reconcile-contact.ts';
import { findFixOfApproval, listFixes } from '../../store/reconcile-fixes.ts';
import { redactor } from '../../telemetry/redactor.ts';

const shown = (text: string): string => withHiddenShown(redactor.text(text));
/** Why a model was asked. */
const whyTexts: Readonly<Record<string, string>> = {
  'no-rule': 'no rule fits it',
  'rule-failed': 'rules were tried, and failed',
  ineffective: 'a rule was applied, and did not help',
  contested: 'somebody else sets it again and again',
  'was-held': 'somebody had it in their hands, and the hold is over',
} satisfies Record<WhyEscalate, string>;

/** What people look at before they answer for a fix. Undefined where the approval is of no fix that is known. */
export const showFix = async (
  database: Database,
  approval: Pick<Approval, 'org' | 'project' | 'id' | 'kind'>,
): Promise<ShownFix | undefined> => {
  if (approval.kind !== 'fix') return undefined;
  const fix = await findFixOfApproval(database, approval, approval.id);
  if (!fix?.plan) return undefined;
  const { plan, review, id: fixId, target, faultKind, evidenceDigest } = fix;
  const { source } = plan;
  return {
    ...{ fixId, target, evidenceDigest },
    fault: shown(review ? driftText(review.drift) : faultKind),
    sinceAt: faultSince(fix, await listFixes(database, approval, target)),
    became: fix.endedAt === null ? null : shown(`${fix.state} at ${fix.endedAt}${fix.message ? `: ${fix.message}` : ''}`),
    why: shown(whyTexts[review?.why ?? ''] ?? (source.kind === 'rule' ? `the rule ${source.rule} fits it` : (review?.why ?? ''))),
    proposedBy: proposerText(plan),
    diagnosis: source.kind === 'model' ? shown(source.diagnosis) : '',
    confidence: source.kind === 'model' ? source.confidence : null,
    steps: plan.steps.map(({ operation, expected, undo }, index) => ({
      operation: shown(describeStep(operation)),
      expected: shown(expected),
      undo: undoTexts[undo.kind],
      dryRun: dryRunLines(review?.dryRuns[index]).map(shown),
    })),
    blast: review?.blast ?? null,
    contact: (await findReconcileContact(database, approval.id)) ?? null,
  };
};
