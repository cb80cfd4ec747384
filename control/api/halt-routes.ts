import { type Context, Hono } from 'hono';
import { PlatformError } from '../../schema/errors.ts';
import { type HaltKey, HaltRequestSchema, haltKeyOf, haltName, orgWideScopes } from '../../schema/halt.ts';
import type { Tenancy } from '../../schema/ids.ts';
import { liftHalt, listHalts, putHalt } from '../../store/halts.ts';
import type { ApiDependencies, ApiEnvironment } from './api-dependencies.ts';
import { inTransaction } from './in-transaction.ts';
import type { Permit } from './permit.ts';
import { readBody, tenancyOf } from './read-request.ts';
import { recordChange } from './record-change.ts';

/** No project has this name: what concerns the whole org is decided by the platform's policies, not by those of one of its projects. */
const everyProject = '*';

const decidedIn = ({ org, project }: Tenancy, { scope }: HaltKey): Tenancy => ({
  org,
  project: orgWideScopes.has(scope) ? everyProject : project,
});

/**
 * The brake: what is halted starts nothing any more, within two seconds and whether or not a worker lives, because each gateway, the issuer
 * and the api look at these rows. Only people come here at all (tokens of runs and keys of processes are refused at the door), so only
 * they lift one.
 */
export const haltRoutes = ({
  database,
  audit,
  permit,
}: Pick<ApiDependencies, 'database' | 'audit'> & { permit: Permit }): Hono<ApiEnvironment> => {
  const routes = new Hono<ApiEnvironment>();

  const asked = async (context: Context<ApiEnvironment>) => {
    const tenancy = tenancyOf(context);
    const request = await readBody(context, HaltRequestSchema);
    return { tenancy, request, key: haltKeyOf(tenancy, request), person: context.get('person') };
  };

  routes.get('/:org/:project/halts', async (context) => {
    const tenancy = tenancyOf(context);
    await permit(context.get('person'), 'getResource', tenancy);
    return context.json({ halts: await listHalts(database, tenancy) });
  });

  routes.post('/:org/:project/halts', async (context) => {
    const { tenancy, request, key, person } = await asked(context);
    const name = haltName(key);
    const decision = await permit(person, 'halt', decidedIn(tenancy, key), { kind: 'Halt', name });
    const isNew = await inTransaction(database, async (within) => {
      const { reason } = request;
      if (!(await putHalt(within, { ...key, reason, haltedBy: person.id, decisionId: decision.decisionId }))) return false;
      const facts = { reason };
      await recordChange(audit, within, tenancy, person, decision, { action: 'halt', resource: `Halt/${name}`, facts });
      return true;
    });
    return context.json({ ...key, halted: true, isNew }, isNew ? 201 : 200);
  });

  routes.post('/:org/:project/halts/lift', async (context) => {
    const { tenancy, request, key, person } = await asked(context);
    const name = haltName(key);
    const decision = await permit(person, 'liftHalt', decidedIn(tenancy, key), { kind: 'Halt', name });
    await inTransaction(database, async (within) => {
      const lifted = await liftHalt(within, key);
      if (!lifted) throw new PlatformError('not_found', `${name} is not halted; \`quarterdeck halt ls\` lists what is.`);
      const facts = { haltedAt: lifted.haltedAt, haltedBy: lifted.haltedBy, reason: request.reason };
      await recordChange(audit, within, tenancy, person, decision, { action: 'liftHalt', resource: `Halt/${name}`, facts });
    });
    return context.json({ ...key, halted: false });
  });

  return routes;
};
