import type { ApprovalNeed } from '../../schema/approval.ts';
import type { ChangeApproval, ProjectSpec } from '../../schema/resources/project.ts';
import type { ExactChange } from '../../store/exact-change.ts';
import type { ApiProfile } from './api-dependencies.ts';

const usual: ChangeApproval = { approvers: ['role:administrator', 'role:reviewer'], count: 1, expiresInSeconds: 86_400 };

/** What approvals of a project are where it says nothing of them; undefined where nobody else is asked then. */
export const undeclaredApproval = (profile: ApiProfile): ChangeApproval | undefined => (profile === 'production' ? usual : undefined);

const reasons: Readonly<Record<ExactChange['kind'], string>> = {
  publication: 'It changes what is allowed.',
  definitions: 'Agents would be shown this, and call it.',
  release: 'What was read could be told to anybody.',
};

/**
 * Who else has to approve a change of policies, definitions or labels: what the project says, and in the profile production one other person at
 * least. Undefined where its proposer alone may make it.
 */
export const changeNeed = (
  kind: ExactChange['kind'],
  profile: ApiProfile,
  project: Pick<ProjectSpec, 'approvals'> | undefined,
): ApprovalNeed | undefined => {
  const declared = project?.approvals?.[kind];
  if (!declared && profile !== 'production') return undefined;
  const { approvers, count, expiresInSeconds, acr } = declared ?? usual;
  const policy = `${declared ? 'project' : 'platform'}/${kind}`;
  return { rules: [{ policy, approvers, count, ...(acr === undefined ? {} : { acr }) }], expiresInSeconds, reason: reasons[kind] };
};
