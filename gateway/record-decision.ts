import { basisOf, partsOf } from '../policy/decision-record.ts';
import { recordContext } from '../policy/recorded-context.ts';
import type { NewAuditEvent } from '../schema/audit-event.ts';
import type { Tenancy } from '../schema/ids.ts';
import type { Decision } from './decide.ts';
import type { GatewayContext } from './gateway-context.ts';

const nothing: { basis: null; facts: NonNullable<NewAuditEvent['facts']> } = { basis: null, facts: {} };

const longestError = 300;

/**
 * What a row of the audit says of its decision, so that it can be explained and made again later; what many rows would repeat is written
 * once apart from them. A deny that stands for an error, because a policy could not be evaluated, says so (`decisionError`).
 * @param tenancy - of the row
 * @param run - of the row
 */
export const recordDecision = (
  { decisionFacts }: GatewayContext,
  tenancy: Tenancy,
  decision: Decision | undefined,
  run: string | null | undefined,
): { basis: string | null; facts: NonNullable<NewAuditEvent['facts']> } => {
  const basis = decision ? basisOf(decision) : null;
  if (!decision?.asked || basis === null) return nothing;
  decisionFacts.note(tenancy, basis, () => partsOf(decision));
  const { context, forAnyArguments } = decision.asked;
  const facts = {
    ...recordContext(context, run ?? null, forAnyArguments),
    ...(decision.error ? { decisionError: decision.error.slice(0, longestError) } : {}),
  };
  return { basis, facts: facts as NonNullable<NewAuditEvent['facts']> };
};
