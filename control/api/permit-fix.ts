import { fitsRule } from '../../policy/approval-rules.ts';
import { fixResource } from '../../policy/decide-fix.ts';
import { fixProposerOf } from '../../policy/fix-proposer.ts';
import type { Approval } from '../../schema/approval.ts';
import { PlatformError } from '../../schema/errors.ts';
import type { Fix } from '../../schema/reconcile/fix.ts';
import { getApproval } from '../../store/approvals.ts';
import { submittersOfFix } from '../../store/fix-submitters.ts';
import type { Person } from '../../store/people.ts';
import { findFixOfApproval } from '../../store/reconcile-fixes.ts';
import { findResource } from '../../store/resources.ts';
import { redactor } from '../../telemetry/redactor.ts';
import type { ApiConfig, ApiDependencies } from './api-dependencies.ts';
import type { Permit } from './permit.ts';

/** Who comes too late is told why nothing is done, and where it goes on: the fault may be there still. */
const waitsNoMore = ({ id, state, expiresAt, decisions }: Approval, fix: Fix | undefined): PlatformError => {
  const next = `What is still not as declared people are asked about anew: \`quarterdeck reconcile status${fix ? ` ${fix.target}` : ''}\`.`;
  if (state === 'expired' && (fix?.endedAt == null || fix.state === 'expired'))
    return new PlatformError(
      'approval_expired',
      `Nobody approved ${id} until ${expiresAt}, which counts as no; nothing is done by it. ${next}`,
    );
  const answers = decisions.map(({ verdict, person, at }) => `${verdict === 'approve' ? 'approved' : 'denied'} by ${person} at ${at}`);
  if ((state === 'denied' || state === 'consumed') && answers.length > 0)
    return new PlatformError('conflict', `The approval ${id} was ${answers.join(', ')} already; your answer changed nothing. ${next}`);
  const why = fix?.message ? ` ${redactor.text(fix.message)}` : '';
  return new PlatformError('conflict', `The fix that ${id} asks about waits no more, and nothing is done by it.${why} ${next}`);
};

/**
 * The fix that an approval is of, while it waits for the answer.
 * @throws {PlatformError} `conflict` where it waits no more, or its plan is another than the one that people were asked about;
 *   `approval_expired` where nobody answered in time
 */
export const findWaitingFix = async (
  { database }: Pick<ApiDependencies, 'database'>,
  approval: Approval,
): Promise<Fix & { plan: NonNullable<Fix['plan']> }> => {
  const fix = await findFixOfApproval(database, approval, approval.id);
  const { plan } = fix ?? {};
  if (fix && plan && fix.planDigest === approval.digest && fix.endedAt === null) return { ...fix, plan };
  // who answered first may have done so since it was read
  throw waitsNoMore(await getApproval(database, approval), fix);
};

/**
 * Whether a person may have this very plan applied, by Cedar: as it was planned, not by the owner of who proposed it nor by anybody
 * who wrote a part of it, and only by those who are asked. What people answer is asked again right before anything runs.
 * @throws {PlatformError} `not_permitted`, `login_stale`, `conflict`, `approval_expired`
 */
export const permitFix = async (
  dependencies: Pick<ApiDependencies, 'database'> & { permit: Permit },
  { profile }: Pick<ApiConfig, 'profile'>,
  person: Person,
  approval: Approval,
  digest: string,
): Promise<void> => {
  const fix = await findWaitingFix(dependencies, approval);
  const { org, project, id: fixId, plan, planDigest, review } = fix;
  const declared = await findResource(dependencies.database, { org, project, kind: 'ReconcileTarget', name: fix.target });
  if (!declared || !review) throw new PlatformError('conflict', `What ${approval.id} asks about is declared no more.`);
  const owner = approval.person;
  const target = { org, project, name: fix.target, owner, spec: declared.spec };
  const resource = fixResource({
    ...{ fixId, target, plan, planDigest, blast: review.blast, proposer: fixProposerOf({ fixId, plan, target }, owner) },
    ...{ project: { environment: '', frozen: false }, mustAsk: true, dryRunOk: true, inWindow: true, stateHashFresh: true, recentFixes: 0 },
    isKindPaused: false,
    submitters: await submittersOfFix(dependencies.database, fix, declared.spec),
    mayApproveOwn: profile === 'solo',
  });
  const named = profile === 'solo' || approval.rules.some((rule) => fitsRule(rule, person));
  await dependencies.permit(person, 'approveFix', approval, { kind: 'Fix', name: fixId, fix: { resource, planHash: digest, named } });
};
