import type { NewAuditEvent } from '../../schema/audit-event.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { AuditLog } from '../../store/audit-log.ts';
import type { Executor } from '../../store/database.ts';
import type { Person } from '../../store/people.ts';
import type { ApiDecision } from './api-dependencies.ts';
import { recordBasis } from './record-basis.ts';

/** Writes into the audit what an allowed request of a person did. Inside a transaction it stands or falls with the change. */
export const recordChange = async (
  audit: AuditLog,
  executor: Executor,
  { org, project }: Tenancy,
  person: Person,
  decision: ApiDecision,
  what: Pick<NewAuditEvent, 'action'> & Partial<NewAuditEvent>,
): Promise<void> =>
  audit.append(executor, [
    {
      org,
      project,
      kind: 'change',
      decision: 'allow',
      decisionId: decision.decisionId,
      policies: decision.policies,
      policyVersion: decision.policyVersion ?? null,
      person: person.id,
      stamp: decision.stamp ?? person.stamp,
      outcome: 'ok',
      basis: await recordBasis(executor, { org, project }, decision),
      ...what,
    },
  ]);
