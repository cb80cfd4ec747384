import { PlatformError } from '../../schema/errors.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { Released } from '../../schema/run.ts';
import { traceIdOfRun } from '../../schema/trace.ts';
import type { Database } from '../../store/database.ts';
import type { ExactRelease } from '../../store/exact-change.ts';
import { releaseLabels } from '../../store/flow-labels.ts';
import type { Person } from '../../store/people.ts';
import { canonicalJson } from '../../store/resources.ts';
import type { ApiDecision, ApiDependencies } from './api-dependencies.ts';
import type { Enacting } from './enacting.ts';
import { recordChange } from './record-change.ts';

type Why = Pick<ExactRelease, 'reason' | 'run'> & { approval?: string; askedBy?: string };

/** Puts each label that fell on record: who let it, why, and what was carried. To be called in the transaction in which they fall. */
export const recordReleased = async (
  audit: ApiDependencies['audit'],
  within: Database,
  tenancy: Tenancy,
  person: Person,
  decision: ApiDecision,
  released: Released['released'],
  { run, ...why }: Why,
): Promise<void> => {
  for (const { subject, label } of released)
    await recordChange(audit, within, tenancy, person, decision, {
      action: 'releaseLabel',
      ...(run ? { fleet: run.fleet, run: run.id, traceId: traceIdOfRun(run.id) } : {}),
      ...(subject.startsWith('agent:') ? { agent: subject.slice('agent:'.length) } : { resource: subject }),
      facts: { label, ...why },
    });
};

/**
 * Lets fall what other people approved to be released: exactly what they were shown. Of what was read since they said nothing.
 * @throws {PlatformError} `conflict` where something else is carried by now, `not_permitted` where its proposer may release it no more
 */
export const releaseApproved = async (
  { audit, authorize }: Pick<ApiDependencies, 'audit' | 'authorize'>,
  within: Database,
  { org, project, run, reason, carried }: ExactRelease,
  { approval, proposer, approver, decision }: Enacting,
): Promise<void> => {
  const tenancy = { org, project };
  const target = run ? { kind: 'Fleet' as const, name: run.fleet } : undefined;
  if ((await authorize(proposer, 'releaseLabel', tenancy, target)).effect === 'deny')
    throw new PlatformError(
      'not_permitted',
      `${proposer.id}, who asked for this, may not release it any more; nothing was released and approval ${approval.id} is void.`,
    );
  const found = await releaseLabels(
    within,
    tenancy,
    carried.map(({ subject }) => subject),
  );
  for (const { subject, label } of carried)
    if (canonicalJson(found.get(subject) ?? null) !== canonicalJson(label))
      throw new PlatformError(
        'conflict',
        `${subject} carries something else by now, so nothing was released and approval ${approval.id} is void; ask for it again.`,
      );
  const why = { run, reason, approval: approval.id, askedBy: proposer.id };
  await recordReleased(audit, within, tenancy, approver, decision, carried, why);
};
