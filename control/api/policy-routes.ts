import { Hono } from 'hono';
import { z } from 'zod';
import type { ApiDependencies, ApiEnvironment } from './api-dependencies.ts';
import { explainRecorded } from './explain-recorded.ts';
import type { Permit } from './permit.ts';
import { parseAs, tenancyOf } from './read-request.ts';

const DecisionIdSchema = z.string().regex(/^dec_[A-Za-z0-9_-]{1,60}$/, 'a decision id such as `dec_` and some characters');

/** What the record tells of policies: decisions explained. */
export const policyRoutes = ({ database, permit }: Pick<ApiDependencies, 'database'> & { permit: Permit }): Hono<ApiEnvironment> => {
  const routes = new Hono<ApiEnvironment>();

  routes.get('/:org/:project/policy/decisions/:id', async (context) => {
    const tenancy = tenancyOf(context);
    const id = parseAs(DecisionIdSchema, context.req.param('id'), 'decision id');
    // what is opaque to the caller is told to whoever may read the audit
    await permit(context.get('person'), 'readAudit', tenancy);
    return context.json(await explainRecorded(database, tenancy, id));
  });

  return routes;
};
