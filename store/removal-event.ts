import { randomBytes } from 'node:crypto';
import type { NewAuditEvent } from '../schema/audit-event.ts';
import type { Tenancy } from '../schema/ids.ts';
import { retentionAction } from '../schema/retention.ts';

/** Names one removal, and the row of the audit that records it. */
export const newRemovalId = (): string => `dec_${randomBytes(9).toString('base64url')}`;

/** The row of the audit that says what the retention of a project removed; nobody decided it but who declared the project. */
export const removalEvent = ({ org, project }: Tenancy, id: string, facts: NonNullable<NewAuditEvent['facts']>): NewAuditEvent => ({
  org,
  project,
  kind: 'change',
  action: retentionAction,
  decision: 'allow',
  decisionId: id,
  resource: `Project/${project}`,
  outcome: 'ok',
  facts,
});
