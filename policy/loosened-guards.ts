import type { ChangeApproval, ProjectSpec } from '../schema/resources/project.ts';
import { ProjectSpecSchema } from '../schema/resources/project.ts';
import { type ReconcileTargetSpec, ReconcileTargetSpecSchema } from '../schema/resources/reconcile-target.ts';
import { retainedKinds, retentionFields } from '../schema/retention.ts';

/** What guards others in a declaration; of other kinds nothing is looked at. */
export type Guarded = { kind: 'Project'; spec: ProjectSpec } | { kind: 'ReconcileTarget'; spec: ReconcileTargetSpec };

/** What holds where nothing is declared: of a project that is not there, the same as of one that says nothing. */
const plainProject: ProjectSpec = ProjectSpecSchema.parse({});
const plainTarget = ReconcileTargetSpecSchema.parse({ type: 'platform' });

/** Whom it is asked of, how many, and by what login: others, fewer and lesser are looser. That one waits longer for them is not. */
const isLooserApproval = (before: ChangeApproval | undefined, after: ChangeApproval | undefined): boolean => {
  if (before === undefined) return false;
  if (after === undefined) return true;
  return (
    after.count < before.count ||
    (after.acr ?? 1) < (before.acr ?? 1) ||
    after.approvers.some((approver) => !before.approvers.includes(approver))
  );
};

const environments: readonly ProjectSpec['environment'][] = ['development', 'staging', 'production'];

const loosenedInProject = (before: ProjectSpec, after: ProjectSpec, undeclared: ChangeApproval | undefined): string[] => {
  const found: string[] = [];
  for (const kind of ['publication', 'definitions', 'release'] as const)
    if (isLooserApproval(before.approvals?.[kind] ?? undeclared, after.approvals?.[kind] ?? undeclared)) found.push(`approvals.${kind}`);
  for (const what of retainedKinds) {
    const field = retentionFields[what];
    // what names no days is kept for good
    if ((after.retention?.[field] ?? Infinity) < (before.retention?.[field] ?? Infinity)) found.push(`retention.${field}`);
  }
  if (before.retention?.hold && !after.retention?.hold) found.push('retention.hold');
  if (before.frozen && !after.frozen) found.push('frozen');
  if (environments.indexOf(after.environment) < environments.indexOf(before.environment)) found.push('environment');
  return found;
};

const loosenedInTarget = (before: ReconcileTargetSpec, after: ReconcileTargetSpec): string[] => {
  const found: string[] = [];
  if (isLooserApproval(before.approval, after.approval)) found.push('approval');
  if (before.critical && !after.critical) found.push('critical');
  if (after.allow.some((one) => !before.allow.includes(one))) found.push('allow');
  return found;
};

/**
 * Which guards a change of a declaration lowers: how many and whom it takes to approve something, and how long what was done stays on record.
 * A deletion and a first declaration are such changes too, from and to what holds where nothing is said, so that none is got round by
 * deleting something and declaring it anew.
 * @param before - as it is stored; undefined where it is not there
 * @param after - as it is wanted; undefined where it is deleted
 * @param options.undeclared - what approvals of a project are where it says nothing of them; undefined where nobody else is asked then
 * @returns names of the fields, none where nothing is loosened
 */
export const loosenedGuards = (
  before: Guarded | undefined,
  after: Guarded | undefined,
  { undeclared }: { undeclared: ChangeApproval | undefined },
): string[] => {
  if ((before ?? after)?.kind === 'Project')
    return loosenedInProject(
      before?.kind === 'Project' ? before.spec : plainProject,
      after?.kind === 'Project' ? after.spec : plainProject,
      undeclared,
    );
  return loosenedInTarget(
    before?.kind === 'ReconcileTarget' ? before.spec : plainTarget,
    after?.kind === 'ReconcileTarget' ? after.spec : plainTarget,
  );
};
