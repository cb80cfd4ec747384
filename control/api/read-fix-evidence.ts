import { PlatformError } from '../../schema/errors.ts';
import { withHiddenShown } from '../../schema/hidden-characters.ts';
import { diagnosisRunId } from '../../schema/ids.ts';
import type { FixEvidence } from '../../schema/reconcile/requests.ts';
import { listAgents } from '../../store/agents.ts';
import type { Person } from '../../store/people.ts';
import { findFix } from '../../store/reconcile-fixes.ts';
import type { TargetKey } from '../../store/reconcile-targets.ts';
import { findApplier } from '../../store/resources.ts';
import type { ApiDependencies } from './api-dependencies.ts';
import type { Permit } from './permit.ts';
import { getTarget } from './reconcile-targets.ts';
import { recordChange } from './record-change.ts';

/**
 * What a diagnosis was made of, as far as it came, for people who are left with its fault without an approval: a budget or the time was over,
 * or its answers were of no use. Whoever would see an approval of that target sees it; that they did is on record.
 * @throws {PlatformError} `not_found` where nobody diagnosed that fix, `not_permitted`, `content_missing`
 */
export const readFixEvidence = async (
  { database, audit, contentStore, permit }: Pick<ApiDependencies, 'database' | 'audit' | 'contentStore'> & { permit: Permit },
  person: Person,
  key: TargetKey,
  fixId: string,
): Promise<FixEvidence> => {
  const { org, project, target: name } = key;
  const { approvers, acr } = (await getTarget(database, key)).spec.approval;
  const owner = (await findApplier(database, { org, project, kind: 'ReconcileTarget', name })) ?? '';
  const approval = { owner, approvers, verdict: 'deny', acr: acr ?? 1 } as const;
  const decision = await permit(person, 'seeApproval', key, { kind: 'Approval', name: fixId, approval });
  const fix = await findFix(database, fixId);
  const isOfTarget = fix?.org === org && fix.project === project && fix.target === name;
  if (!isOfTarget || fix.evidenceDigest === '')
    throw new PlatformError('not_found', `There is no evidence to a fix ${fixId} of ${name}: no model looked at what it is about.`);
  const text = await contentStore.get(key, fix.evidenceDigest);
  await recordChange(audit, database, key, person, decision, {
    ...{ kind: 'call', action: 'seeApproval', resource: `ReconcileTarget/${name}`, operationId: fixId },
    facts: { evidence: fix.evidenceDigest },
  });
  const run = diagnosisRunId(fixId);
  const began = (await listAgents(database, { org, project, id: run })).find(({ transcriptDigest }) => transcriptDigest !== null);
  return {
    ...{ digest: fix.evidenceDigest, evidence: withHiddenShown(text) },
    agent: began ? { run, id: `${began.stage}/${began.role}/${began.ordinal}` } : null,
  };
};
