import { basisOf, partsOf, type RecordableDecision } from '../../policy/decision-record.ts';
import { recordContext } from '../../policy/recorded-context.ts';
import type { NewAuditEvent } from '../../schema/audit-event.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { Executor } from '../../store/database.ts';
import { insertDecisionFacts } from '../../store/decision-facts.ts';

/**
 * Writes down what a decision was made on.
 * @param tenancy - of the row that will refer to it
 * @returns what the row says of it; null where no policy was asked
 */
export const recordBasis = async (executor: Executor, { org, project }: Tenancy, decision: RecordableDecision): Promise<string | null> => {
  await insertDecisionFacts(
    executor,
    partsOf(decision).map((part) => ({ org, project, ...part })),
  );
  return basisOf(decision);
};

/** What the row keeps of a decision's context: what is not the same for all that people ask of the api. */
export const contextFacts = ({ asked }: RecordableDecision): NonNullable<NewAuditEvent['facts']> =>
  asked ? (recordContext(asked.context, null, asked.forAnyArguments) as NonNullable<NewAuditEvent['facts']>) : {};
