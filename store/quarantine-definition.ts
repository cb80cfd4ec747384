import { and, eq, sql } from 'drizzle-orm';
import type { DefinitionKind } from '../schema/definition.ts';
import { definitions } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';
import type { ServerKey } from './definition.ts';

/**
 * Puts a definition under quarantine, or (empty reason) takes it out, as long as it is still the one that was looked at.
 * @returns false where it is another by now, or gone
 */
export const setQuarantine = (
  database: Database,
  { org, project, server, kind, name }: ServerKey & { kind: DefinitionKind; name: string },
  { reason, currentHash }: { reason: string; currentHash: string },
): Promise<boolean> =>
  guarded(async () => {
    const rows = await database
      .update(definitions)
      .set({ quarantined: reason, updatedAt: sql`now()` })
      .where(
        and(
          eq(definitions.org, org),
          eq(definitions.project, project),
          eq(definitions.server, server),
          eq(definitions.kind, kind),
          eq(definitions.name, name),
          eq(definitions.currentHash, currentHash),
        ),
      )
      .returning({ name: definitions.name });
    return rows.length > 0;
  });
