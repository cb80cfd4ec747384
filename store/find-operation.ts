import { operations } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';
import { isOperation, type OperationKey } from './operation-outcome.ts';

/** Whether a call of this id was ever begun at a gateway, whatever became of it. */
export const isOperationBegun = (database: Database, key: OperationKey): Promise<boolean> =>
  guarded(async () => (await database.select({ id: operations.id }).from(operations).where(isOperation(key))).length > 0);
