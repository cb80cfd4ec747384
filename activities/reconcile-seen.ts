import { canonicalText } from '../reconcile/canonical-text.ts';
import type { Tenancy } from '../schema/ids.ts';
import type { Conflict, Drift } from '../schema/reconcile/drift.ts';
import type { Desired, Observation } from '../schema/reconcile/observation.ts';
import type { ContentStore } from '../store/contents.ts';

/**
 * What a fix begins with, as it was seen: kept sealed by its digest, because it may hold what nobody else is to read. Its diagnosis is made
 * of it, and its effect is judged against it. `flagged`: so many items spoke to whoever reads them.
 */
export type SeenFault = {
  drift: Drift;
  conflicts: Conflict[];
  why: string;
  desired: Desired;
  observation: Observation;
  flagged: number;
  /** On whose behalf it is diagnosed and by which decision; empty where it is not. */
  owner: string;
  launchDecisionId: string;
  /** Why it is for people and nothing is diagnosed. */
  refusal?: string;
};

export const keepSeen = (contents: ContentStore, place: Tenancy, seen: SeenFault): Promise<string> =>
  contents.put(place, canonicalText(seen), 'reconcile-seen');

export const readSeen = async (contents: ContentStore, { org, project }: Tenancy, digest: string): Promise<SeenFault> =>
  (await contents.getJson({ org, project }, digest)) as SeenFault;
