import { and, eq } from 'drizzle-orm';
import { parseExactly } from '../schema/exact-json.ts';
import type { Tenancy } from '../schema/ids.ts';
import { operations } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';
import { type ContentKeys, unseal } from './secrets/seal.ts';

/** What became of an operation, for whoever was told its id; undefined where that was never committed. */
export const readOperationOutcome = (
  database: Database,
  keys: ContentKeys,
  { org, project, id }: Tenancy & { id: string },
): Promise<unknown> =>
  guarded(async () => {
    const [row] = await database
      .select({ outcome: operations.outcome })
      .from(operations)
      .where(and(eq(operations.org, org), eq(operations.project, project), eq(operations.id, id), eq(operations.state, 'settled')));
    return row?.outcome ? parseExactly(unseal(keys, row.outcome, `${org}/${project}/operation/${id}`).toString()) : undefined;
  });
