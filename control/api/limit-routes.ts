import { Hono } from 'hono';
import { PlatformError } from '../../schema/errors.ts';
import { LiftLimitRequestSchema } from '../../schema/reconcile/requests.ts';
import { listRateHolds, removeRateHold } from '../../store/rate-holds.ts';
import type { ApiDependencies, ApiEnvironment } from './api-dependencies.ts';
import { inTransaction } from './in-transaction.ts';
import type { Permit } from './permit.ts';
import { readBody, tenancyOf } from './read-request.ts';
import { recordChange } from './record-change.ts';

/** Who is held to fewer calls by the reconciler, and the lifting of that by a person; what is declared holds again then. */
export const limitRoutes = ({ database, audit, permit }: ApiDependencies & { permit: Permit }): Hono<ApiEnvironment> => {
  const routes = new Hono<ApiEnvironment>();

  routes.get('/:org/:project/reconcile/limits', async (context) => {
    const tenancy = tenancyOf(context);
    await permit(context.get('person'), 'getResource', tenancy);
    return context.json({ limits: await listRateHolds(database, tenancy) });
  });

  routes.post('/:org/:project/reconcile/limits/lift', async (context) => {
    const tenancy = tenancyOf(context);
    const { kind, name, reason } = await readBody(context, LiftLimitRequestSchema);
    const person = context.get('person');
    const decision = await permit(person, 'steerTarget', tenancy);
    const lifted = await inTransaction(database, async (within) => {
      const held = await removeRateHold(within, { ...tenancy, kind, name });
      if (!held)
        throw new PlatformError('not_found', `${kind} ${name} is not held to fewer calls; \`quarterdeck reconcile limits\` says who is.`);
      const { callsPerMinute, operationId, heldAt } = held;
      const facts = { what: 'lift-limit', reason, callsPerMinute, operationId, heldAt };
      await recordChange(audit, within, tenancy, person, decision, { action: 'steerTarget', resource: `${kind}/${name}`, facts });
      return held;
    });
    return context.json(lifted);
  });

  return routes;
};
