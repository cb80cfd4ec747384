import { type Context, Hono } from 'hono';
import { ruleCatalogue } from '../../reconcile/rules/catalogue.ts';
import { NameSchema } from '../../schema/ids.ts';
import { DemoteRuleSchema, PromoteRuleSchema, type RuleView } from '../../schema/reconcile/rule-view.ts';
import { listResources } from '../../store/resources.ts';
import type { ApiDependencies, ApiEnvironment } from './api-dependencies.ts';
import type { Permit } from './permit.ts';
import { parseAs, readBody, tenancyOf } from './read-request.ts';
import { declaredRuleView, reviewRule } from './review-rule.ts';

/** Rules of the reconciler: what there is, and people's review of what was learned. */
export const ruleRoutes = ({
  permit,
  ...dependencies
}: Pick<ApiDependencies, 'database' | 'audit'> & { permit: Permit }): Hono<ApiEnvironment> => {
  const routes = new Hono<ApiEnvironment>();
  const keyOf = (context: Context<ApiEnvironment>) => ({
    ...tenancyOf(context),
    kind: 'ReconcileRule' as const,
    name: parseAs(NameSchema, context.req.param('name'), 'path'),
  });

  routes.get('/:org/:project/reconcile/rules', async (context) => {
    const tenancy = tenancyOf(context);
    await permit(context.get('person'), 'getResource', tenancy);
    const declared = await listResources(dependencies.database, { ...tenancy, kind: 'ReconcileRule' });
    // in the order in which they are tried
    const rules: RuleView[] = [
      ...declared.map(({ metadata, spec }) => declaredRuleView(metadata.name, spec)),
      ...ruleCatalogue.map(({ name, description, cap }) => ({ origin: 'builtIn' as const, name, description, cap })),
    ];
    return context.json({ rules });
  });

  routes.post('/:org/:project/reconcile/rules/:name/promote', async (context) => {
    const key = keyOf(context);
    const { digest } = await readBody(context, PromoteRuleSchema);
    const decision = await permit(context.get('person'), 'applyResource', key, key);
    return context.json({ rule: await reviewRule(dependencies, context.get('person'), decision, key, { state: 'live', digest }) });
  });

  routes.post('/:org/:project/reconcile/rules/:name/demote', async (context) => {
    const key = keyOf(context);
    const { reason } = await readBody(context, DemoteRuleSchema);
    const decision = await permit(context.get('person'), 'applyResource', key, key);
    return context.json({ rule: await reviewRule(dependencies, context.get('person'), decision, key, { state: 'demoted', reason }) });
  });

  return routes;
};
