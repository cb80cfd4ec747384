import type { ApprovalNeed } from '../schema/approval.ts';
import type { PolicyEffect } from '../schema/decision-basis.ts';
import type { PolicyBundle } from './decision-record.ts';

/**
 * `advice` is what the refusing policies say should be done. `error` is set where the decision could not be made: that is a deny too.
 * `needsPerson`: it would be allowed if people approved this very call; `need` says who, how many and until when.
 */
export type PolicyDecision = {
  effect: PolicyEffect;
  policies: string[];
  advice: string[];
  need?: ApprovalNeed;
  error?: string;
  /** The policies that were asked; missing where none are loaded. */
  bundle?: PolicyBundle;
};
