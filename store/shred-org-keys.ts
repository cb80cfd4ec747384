import { and, eq, isNull, ne } from 'drizzle-orm';
import { contents, orgKeys } from '../schema/tables/tables.ts';
import type { Executor } from './database.ts';

/**
 * Destroys all keys of an org: from then on nobody can read what they sealed, in this database, a replica or a backup that does not hold
 * the wrapped keys. What is still sealed with the installation's own key, from before orgs had keys, is deleted. Processes that used a key
 * a moment ago go on for at most five seconds.
 * @returns the ids of the keys that are gone
 */
export const shredOrgKeys = async (within: Executor, org: string, at: Date): Promise<string[]> => {
  const gone = await within
    .update(orgKeys)
    .set({ state: 'destroyed', wrapped: null, destroyedAt: at })
    .where(and(eq(orgKeys.org, org), ne(orgKeys.state, 'destroyed')))
    .returning({ id: orgKeys.id });
  await within.delete(contents).where(and(eq(contents.org, org), isNull(contents.keyId)));
  return gone.map(({ id }) => id);
};
