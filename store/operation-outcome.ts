import { and, eq } from 'drizzle-orm';
import { parseExactly } from '../schema/exact-json.ts';
import type { Tenancy } from '../schema/ids.ts';
import { operations } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';
import { type ContentKeys, seal, unseal } from './secrets/seal.ts';

/** Names an operation: ids of different principals do not meet. */
export type OperationKey = Tenancy & { principal: string; id: string };

export const isOperation = ({ org, project, principal, id }: OperationKey) =>
  and(eq(operations.org, org), eq(operations.project, project), eq(operations.principal, principal), eq(operations.id, id));

/** One text for an operation; neither a name of a tenancy nor a principal has a line break. */
export const operationText = ({ org, project, principal, id }: OperationKey): string => `${org}/${project}/operation\n${principal}\n${id}`;

export const sealOutcome = (keys: ContentKeys, key: OperationKey, outcome: unknown): Buffer =>
  seal(keys, Buffer.from(JSON.stringify(outcome)), operationText(key));

/** What outcomes were bound to when ids were a project's. */
export const oldOperationText = ({ org, project, id }: OperationKey): string => `${org}/${project}/operation/${id}`;

/** Reads a sealed outcome, also one that was sealed when ids were a project's. */
export const openOutcome = (keys: ContentKeys, key: OperationKey, sealed: Buffer): unknown => {
  const contexts = [operationText(key), oldOperationText(key)];
  let refusal: unknown;
  for (const context of contexts)
    try {
      return parseExactly(unseal(keys, sealed, context).toString());
    } catch (error) {
      refusal ??= error;
    }
  throw refusal;
};

/** What became of an operation, for whoever began it; undefined where that was never committed. */
export const readOperationOutcome = (database: Database, keys: ContentKeys, key: OperationKey): Promise<unknown> =>
  guarded(async () => {
    const [row] = await database
      .select({ outcome: operations.outcome })
      .from(operations)
      .where(and(isOperation(key), eq(operations.state, 'settled')));
    return row?.outcome ? openOutcome(keys, key, row.outcome) : undefined;
  });
