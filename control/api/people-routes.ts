import { type Context, Hono } from 'hono';
import { PlatformError } from '../../schema/errors.ts';
import { NameSchema } from '../../schema/ids.ts';
import { listPeople, setPersonDisabled } from '../../store/people.ts';
import type { ApiDependencies, ApiEnvironment } from './api-dependencies.ts';
import { inTransaction } from './in-transaction.ts';
import type { Permit } from './permit.ts';
import { parseAs, tenancyOf } from './read-request.ts';
import { recordChange } from './record-change.ts';

/** The people of an org: listed, shut out, let in again. Whoever is shut out is refused everywhere within five seconds. */
export const peopleRoutes = ({
  database,
  audit,
  permit,
}: Pick<ApiDependencies, 'database' | 'audit'> & { permit: Permit }): Hono<ApiEnvironment> => {
  const routes = new Hono<ApiEnvironment>();

  routes.get('/:org/:project/people', async (context) => {
    const tenancy = tenancyOf(context);
    await permit(context.get('person'), 'applyResource', tenancy, { kind: 'Person', name: '*' });
    return context.json({ people: await listPeople(database, tenancy.org) });
  });

  const change = async (context: Context<ApiEnvironment>, disabled: boolean): Promise<Response> => {
    const tenancy = tenancyOf(context);
    const id = parseAs(NameSchema, context.req.param('id'), 'path');
    const person = context.get('person');
    const decision = await permit(person, 'applyResource', tenancy, { kind: 'Person', name: id });
    if (disabled && id === person.id) throw new PlatformError('conflict', 'You cannot shut yourself out; let another administrator do it.');
    await inTransaction(database, async (within) => {
      if (!(await setPersonDisabled(within, tenancy.org, id, disabled)))
        throw new PlatformError('not_found', `There is no person ${id} in ${tenancy.org}.`);
      const facts = { change: disabled ? 'disabled' : 'enabled' };
      await recordChange(audit, within, tenancy, person, decision, { action: 'applyResource', resource: `Person/${id}`, facts });
    });
    return context.json({ id, disabled });
  };
  routes.post('/:org/:project/people/:id/disable', (context) => change(context, true));
  routes.post('/:org/:project/people/:id/enable', (context) => change(context, false));

  return routes;
};
