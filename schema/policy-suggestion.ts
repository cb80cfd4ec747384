import { z } from 'zod';
import type { ResourceOf } from './resource.ts';

/** Which recorded calls a suggestion is made from. */
export const SuggestQuerySchema = z.object({
  since: z.iso.datetime({ offset: true }).optional(),
  limit: z.coerce.number().int().min(1).max(50_000).default(5_000),
});
export type SuggestQuery = z.infer<typeof SuggestQuerySchema>;

/** A thing that is allowed today and was not needed, or is needed only as far as `conditions` say. */
export type GrantChange = { type: string; name: string; toolset: string | null; by: string[] };

/** What `policy suggest` answers. */
export type PolicySuggestion = {
  role: string;
  /** Allowed calls that it is made from. */
  calls: number;
  firstAt: string;
  lastAt: string;
  policySet: ResourceOf<'PolicySet'>;
  /** Bindings that grant the role more; `after` is what is left of one, null where nothing is. */
  bindings: { name: string; after: ResourceOf<'AccessBinding'> | null }[];
  /** Allowed today, and no more once it is applied. */
  takenAway: GrantChange[];
  /** Needed, and then held to what was seen. */
  narrowed: { type: string; name: string; calls: number; conditions: string[]; notes: string[] }[];
  /** Not needed, and allowed all the same by other policies. */
  stillAllowed: GrantChange[];
  /** The recorded calls decided again as if it were applied; `refused` names those that would be refused, if only until people approve them, and why. */
  check: { allowed: number; refused: { decisionId: string; by: string[]; needsPerson: boolean }[] };
  /** What of the time retention has removed, in sentences. */
  notes: string[];
};
