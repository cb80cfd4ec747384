import { type RateHoldKey, RateHoldKindSchema } from '../../schema/rate-hold.ts';
import type { ObjectRef } from '../../schema/reconcile/object-ref.ts';
import { findRateHold, putRateHold, removeRateHold } from '../../store/rate-holds.ts';
import { type Change, type Deed, type PlatformContext, PlatformRefusal, type PlatformTarget } from './platform-context.ts';
import { createOrders } from './platform-orders.ts';

/**
 * Holds an agent, or a whole server, to less than is declared, and lets go again. It is one more rate beside those, so it makes a limit
 * narrower and never wider. It is in force once every gateway that is there says so.
 */
export const createRateDeeds = (context: PlatformContext) => {
  const { database } = context;
  const give = createOrders(context);

  const keyOf = ({ org, project }: PlatformTarget, { kind, name }: ObjectRef): RateHoldKey => {
    const held = RateHoldKindSchema.safeParse(kind);
    if (!held.success) throw new PlatformRefusal('invalid', `A rate is set for an agent or a server, not for a ${kind}.`);
    return { org, project, kind: held.data, name };
  };

  const set = async (key: RateHoldKey, callsPerMinute: number | undefined): Promise<Deed> => {
    const held = await findRateHold(database, key);
    const change: Change = {
      path: '/callsPerMinute',
      ...(held ? { before: held.callsPerMinute } : {}),
      ...(callsPerMinute === undefined ? {} : { after: callsPerMinute }),
    };
    return {
      changes: held?.callsPerMinute === callsPerMinute ? [] : [change],
      isBegun: async (operationId) => (callsPerMinute === undefined ? held === undefined : held?.operationId === operationId),
      run: async ({ operationId, signal }) => {
        // after a kill the row may be there already, and nobody have answered yet
        const isOurs = held?.operationId === operationId;
        if (held?.callsPerMinute === callsPerMinute && !isOurs) return 'unchanged';
        if (callsPerMinute === undefined) await removeRateHold(database, key);
        else if (!isOurs) await putRateHold(database, { ...key, callsPerMinute, operationId });
        const outcome = await give(operationId, { process: 'gateway', do: 'reread-rates' }, signal);
        if (outcome.kind === 'failed' || outcome.kind === 'late') throw new PlatformRefusal('unknown', outcome.message);
        // a gateway that starts later reads it before it serves anybody
        return 'done';
      },
    };
  };

  return {
    limit: async (target: PlatformTarget, object: ObjectRef, callsPerMinute: number): Promise<Deed> => {
      const key = keyOf(target, object);
      const held = await findRateHold(database, key);
      if (held && held.callsPerMinute < callsPerMinute)
        throw new PlatformRefusal(
          'invalid',
          `${key.name} is held to ${held.callsPerMinute} calls a minute, and a fix never makes it more.`,
        );
      return set(key, callsPerMinute);
    },
    /** @param state - how it was seen before: held to so many calls, or not at all */
    restore: async (target: PlatformTarget, object: ObjectRef, state: unknown): Promise<Deed> => {
      if (typeof state !== 'object' || state === null) throw new PlatformRefusal('invalid', 'What is kept does not say how it was.');
      const { callsPerMinute } = state as { callsPerMinute?: unknown };
      return set(keyOf(target, object), typeof callsPerMinute === 'number' ? callsPerMinute : undefined);
    },
  };
};
