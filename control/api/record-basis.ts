import { basisOf, partsOf, type RecordableDecision } from '../../policy/decision-record.ts';
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
