import type { NewAuditEvent } from '../../schema/audit-event.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { AuditLog } from '../../store/audit-log.ts';
import type { Executor } from '../../store/database.ts';
import type { Person } from '../../store/people.ts';
import type { ApiDecision } from './api-dependencies.ts';

/** Writes into the audit what an allowed request of a person did. Inside a transaction it stands or falls with the change. */
export const recordChange = (
  audit: AuditLog,
  executor: Executor,
  { org, project }: Tenancy,
  person: Person,
  { decisionId, policies, policyVersion }: ApiDecision,
  what: Pick<NewAuditEvent, 'action'> & Partial<NewAuditEvent>,
): Promise<void> =>
  audit.append(executor, [
    {
      org,
      project,
      kind: 'change',
      decision: 'allow',
      decisionId,
      policies,
      policyVersion: policyVersion ?? null,
      person: person.id,
      stamp: person.stamp,
      outcome: 'ok',
      ...what,
    },
  ]);
