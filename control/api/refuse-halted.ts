import { type Haltable, indexHalts } from '../../policy/halt-index.ts';
import { PlatformError } from '../../schema/errors.ts';
import { haltName } from '../../schema/halt.ts';
import type { Executor } from '../../store/database.ts';
import { listHalts } from '../../store/halts.ts';

/**
 * Refuses what is halted, as the rows say at this moment.
 * @throws {PlatformError} `halted`
 */
export const refuseHalted = async (executor: Executor, what: Haltable): Promise<void> => {
  const halt = indexHalts(await listHalts(executor, what)).find(what);
  if (!halt) return;
  const why = halt.reason === '' ? '' : ` (${halt.reason})`;
  throw new PlatformError(
    'halted',
    `${haltName(halt)} is halted since ${halt.haltedAt} by ${halt.haltedBy}${why}; a person has to lift that first (\`quarterdeck halt --lift\`).`,
    { facts: { halt: haltName(halt), retryAfterSeconds: 30 } },
  );
};
