import type { ProposableOperation } from '../../../schema/reconcile/operation.ts';

/**
 * One wrong fix that the taxonomy lists for a fault. It is said of a place: of the bench's lane, or of the world of a test. `check` is the code
 * with which the checks refuse it there, empty where it takes a person to see that it is wrong; `policy` is what Cedar says of it where no check was made.
 */
export type ListedFix<Place> = { fault: string; says: string } & (
  | { check: string; policy: 'refuse' | 'ask' | 'apply'; operations: (place: Place) => ProposableOperation[] }
  | { cannotBeSaid: string }
);
/** Those that the union of operations can say. */
export type SaidFix<Place> = Extract<ListedFix<Place>, { check: string }>;

export const isSaid = <Place>(fix: ListedFix<Place>): fix is SaidFix<Place> => 'operations' in fix;

/** As a model of the bench proposes it. */
export type WrongFix = { says: string; operations: readonly ProposableOperation[] } | { says: string; cannotBeSaid: string };

/** The first that is listed for a fault, said of a place. @throws where none is listed */
export const wrongFixIn = <Place>(listed: readonly ListedFix<Place>[], fault: string, place: Place): WrongFix => {
  const found = listed.find((one) => one.fault === fault);
  if (!found) throw new Error(`no wrong fix is listed for ${fault}`);
  return isSaid(found) ? { says: found.says, operations: found.operations(place) } : { says: found.says, cannotBeSaid: found.cannotBeSaid };
};
