import { seeTarget } from '../../activities/targets/see-target.ts';
import { chooseRule } from '../../reconcile/choose-rule.ts';
import { frozenPause } from '../../reconcile/closed-gate.ts';
import { diffKept } from '../../reconcile/diff-kept.ts';
import { driftText } from '../../reconcile/fix-text.ts';
import { createDriftMask } from '../../reconcile/mask-drift.ts';
import { questionAhead } from '../../reconcile/one-question.ts';
import { historyMs } from '../../reconcile/past-fix.ts';
import { pausedKinds } from '../../reconcile/paused-kinds.ts';
import { ruleCatalogue } from '../../reconcile/rules/catalogue.ts';
import { userRuleOf } from '../../reconcile/rules/user-rule.ts';
import type { TargetOf } from '../../reconcile/target-port.ts';
import { explainDrifts, whatNow } from '../../reconcile/what-now.ts';
import type { TargetExplanation } from '../../schema/reconcile/requests.ts';
import { chargedTo } from '../../store/escalation-budget.ts';
import { listFixes, listStandingFixes } from '../../store/reconcile-fixes.ts';
import { listHolds } from '../../store/reconcile-holds.ts';
import { findTarget, type TargetKey } from '../../store/reconcile-targets.ts';
import { findResource, listResources } from '../../store/resources.ts';
import { redactor } from '../../telemetry/redactor.ts';
import type { ApiDependencies } from './api-dependencies.ts';
import { acceptedText, budgetText, conflictText, fixText, holdTexts, nextText, pausedKindText, ruleText } from './explain-sentences.ts';
import { getTarget, readTargetDetail } from './reconcile-targets.ts';

/** A person waits for it; `reconcile explain` says so, and how long it takes at most. */
const lookWithinMs = 8_000;
const shownFixes = 3;

/**
 * Why a target is where it is, out of its rows and a fresh look, in sentences: what differs, what is done about it and why not, who holds it,
 * what was tried, what comes next. Changes nothing.
 * @throws {PlatformError} `not_found`
 */
export const explainTarget = async (
  dependencies: Pick<ApiDependencies, 'database' | 'temporal' | 'clock' | 'targetPorts' | 'contentStore'>,
  key: TargetKey,
): Promise<TargetExplanation> => {
  const { database, clock, targetPorts, contentStore } = dependencies;
  const now = clock();
  const [{ generation, spec }, holds] = await Promise.all([getTarget(database, key), listHolds(database, key, now)]);
  const target: TargetOf = { org: key.org, project: key.project, name: key.target, generation, spec, holds };
  // Temporal and what is kept may both hang: who asks waits for the slower of the two and not for one after the other
  const [detail, { desired, observation }, row, charged] = await Promise.all([
    readTargetDetail(dependencies, key),
    seeTarget({ ports: targetPorts, clock, withinMs: lookWithinMs }, target),
    findTarget(database, key),
    chargedTo(database, { ...key, fixId: '' }, `day/${now.toISOString().slice(0, 10)}`),
  ]);
  const fixes = await listFixes(database, key, key.target, { sinceAt: new Date(now.getTime() - historyMs), limit: 500 });
  const standing = await listStandingFixes(database, key);
  const digest = contentStore.digestOf;
  const { drifts, conflicts, accepted } = diffKept({ target, desired, observation, fixes: standing, digest, holds, now: now.getTime() });
  const written = await listResources(database, { org: key.org, project: key.project, kind: 'ReconcileRule' });
  const rules = written.map(({ metadata, spec: rule }) => userRuleOf(metadata.name, rule));
  // as the workflow judges it: of what was held lately people are asked, and a project that is frozen pauses all of it
  const heldLately = await listHolds(database, key, new Date(now.getTime() - historyMs));
  const place = await findResource(database, { org: key.org, project: key.project, kind: 'Project', name: key.project });
  const pause = place?.spec.frozen ? frozenPause : detail.pause;
  const facts = { target, drifts, conflicts, fixes, holds: heldLately, desired, observation, now: now.getTime() };
  const input = { ...facts, frozen: row?.frozen ?? false, pause };
  const judged = explainDrifts(input);
  const open = fixes.filter(({ endedAt }) => endedAt === null);
  const past = fixes.filter(({ endedAt }) => endedAt !== null);

  const mask = createDriftMask({ desired, observation, redact: redactor.text });
  const ofDrift = drifts.flatMap((drift) => {
    const verdict = judged.find((one) => 'drift' in one && one.drift?.fingerprint === drift.fingerprint);
    const chosen = chooseRule({ target, drift, observation, desired, rules, fixes, now: now.getTime() });
    // what is under way is told below: that a rule is looked for too would be said of what nobody looks at now
    const taken = open.find(({ fingerprint }) => fingerprint === drift.fingerprint);
    const ahead = questionAhead(
      drift,
      open.filter(({ state }) => state === 'awaiting-approval'),
    );
    return [
      driftText(mask.drift(drift)),
      `  ${ruleText(chosen, ruleCatalogue.length + rules.length)} ${taken ? `${taken.id} is about it.` : ahead ? `People are asked about ${ahead.id} of the same object first.` : (verdict?.because ?? '')}`.trimEnd(),
    ];
  });
  const waiting = detail.approvalId
    ? [
        `People are asked: \`quarterdeck approvals show ${detail.approvalId}\`${detail.approvalExpiresAt ? `, until ${detail.approvalExpiresAt}; no answer counts as no` : ', which is over'}.`,
      ]
    : [];
  const sentences = [
    `${key.target} is ${detail.phase}${detail.changedAt ? ` since ${detail.changedAt}` : ''}.${detail.message ? ` ${detail.message}` : ''}`,
    ...(detail.isReconciling === true ? ['Its workflow runs at this moment.'] : []),
    ...(detail.isReconciling === null
      ? ['Temporal does not answer, so it is not known whether anybody works at it; nothing is done meanwhile.']
      : []),
    ...(observation.status === 'unknown'
      ? [
          `It cannot be read now (${observation.reason}): ${observation.message.replace(/\.$/, '')}. Nothing is done about what cannot be read.`,
        ]
      : []),
    ...(observation.status === 'read' && desired.status === 'unreadable'
      ? [`What is declared cannot be read: ${desired.message.replace(/\.$/, '')}. Nothing is done.`]
      : []),
    ...(observation.status === 'read' && desired.status === 'read' && drifts.length === 0
      ? [
          `All ${desired.objects.length} declared things are as they are kept${accepted.length > 0 ? ', which is not as declared in all' : ', as declared'}.`,
        ]
      : []),
    ...ofDrift,
    ...accepted.map(acceptedText),
    ...conflicts.map(conflictText),
    ...holdTexts(detail),
    ...pausedKinds(target, fixes, now.getTime()).map(pausedKindText),
    ...open.map((fix) => `Under way: ${fixText(fix)}`),
    ...open
      .filter(({ state, evidenceDigest }) => state === 'asked' && evidenceDigest !== '')
      .map(({ id }) => `What its diagnosis was made of: \`quarterdeck reconcile history ${key.target} --evidence ${id}\`.`),
    ...waiting,
    ...past.slice(0, shownFixes).map((fix) => `Before: ${fixText(fix)}`),
    ...(past.length > shownFixes ? [`${past.length - shownFixes} fixes more: \`quarterdeck reconcile history ${key.target}\`.`] : []),
    budgetText(charged, spec.escalation.costMicroUsdPerDay, spec.escalation.role),
    ...(spec.contact ? [`Contact: ${spec.contact}.`] : []),
    detail.approvalId
      ? `Next: a person says yes or no to ${detail.approvalId}; until then nothing of it is changed.`
      : open.length > 0
        ? 'Next: what is under way is finished first.'
        : nextText(whatNow(input)),
  ];
  return { ...detail, drifts: drifts.map(mask.drift), conflicts, lookedAt: now.toISOString(), sentences };
};
