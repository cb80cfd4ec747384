import type { Tenancy } from '../../schema/ids.ts';
import { type RetainedKind, removedText } from '../../schema/retention.ts';
import type { Database } from '../../store/database.ts';
import { findRemoved } from '../../store/retention-progress.ts';

const subjects = {
  audit: 'Rows of the audit',
  contents: 'Documents that were not used again',
  decisionFacts: 'What calls were decided on',
  outcomes: 'What operations ended with',
} as const satisfies Record<RetainedKind, string>;

/**
 * Sentences for whoever looks at a time of which retention has removed something: what is not there is then no hole, and not the whole either.
 * @param since - the beginning of what is looked at; all there is without it
 */
export const removalNotes = async (
  database: Database,
  tenancy: Tenancy,
  kinds: readonly RetainedKind[],
  since?: string,
): Promise<string[]> => {
  const notes: string[] = [];
  for (const what of kinds) {
    const removed = await findRemoved(database, tenancy, what);
    if (!removed || (since !== undefined && new Date(since).toISOString() >= removed.before)) continue;
    notes.push(`${subjects[what]} from before ${removed.before.slice(0, 19)}Z: ${removedText(tenancy, removed)}.`);
  }
  return notes;
};
