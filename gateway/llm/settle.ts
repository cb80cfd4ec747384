import { setTimeout as delay } from 'node:timers/promises';
import { isPlatformError } from '../../schema/errors.ts';
import { settle as settleReservation } from '../../store/ledger.ts';
import { type ModelCall, type ModelCallStep, required } from './model-call.ts';

/** Ten minutes: longer than any restart of the database. */
const attempts = 1500;
const retryDelayMs = 400;

/** The call was paid for, so its cost is put down even when the database comes back only after a while. */
const keepSettling = async (write: () => Promise<void>, { gateway, operationId }: ModelCall): Promise<void> => {
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    await delay(retryDelayMs, undefined, { ref: false });
    try {
      return await write();
    } catch (error) {
      if (!isPlatformError(error) || error.code !== 'store_unavailable') break;
    }
  }
  gateway.logger.error({ operationId }, 'the cost of a model call could not be put down; its reservation stays');
};

/**
 * Wraps the rest: puts the true cost in the place of the reserved one, whatever happened. That comes before the caller has the end of its
 * answer, or an agent near its limit would be refused a next call that it can afford.
 */
export const settle: ModelCallStep = async (call, next) => {
  const { principal, gateway } = call;
  if (principal?.kind !== 'agent') return next();
  const key = { agentId: principal.agentId, operationId: required(call.operationId, 'the operation id') };
  try {
    return await next();
  } finally {
    const write = (): Promise<void> => settleReservation(gateway.database, key, call.spent);
    await write().catch((error: unknown) => {
      gateway.logger.warn({ err: error, operationId: key.operationId }, 'the cost of a model call is put down later');
      void keepSettling(write, call);
    });
  }
};
