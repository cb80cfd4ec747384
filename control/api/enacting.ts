import type { Approval } from '../../schema/approval.ts';
import type { Person } from '../../store/people.ts';
import type { ApiDecision } from './api-dependencies.ts';

/** The change, by whom, and who let it through last. */
export type Enacting = { approval: Approval; proposer: Person; approver: Person; decision: ApiDecision };
