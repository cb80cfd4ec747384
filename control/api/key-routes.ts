import { Hono } from 'hono';
import { PlatformError } from '../../schema/errors.ts';
import type { Tenancy } from '../../schema/ids.ts';
import { ShredKeysSchema } from '../../schema/org-key.ts';
import { listOrgKeys } from '../../store/list-org-keys.ts';
import type { Person } from '../../store/people.ts';
import { shredOrgKeys } from '../../store/shred-org-keys.ts';
import type { ApiDecision, ApiDependencies, ApiEnvironment } from './api-dependencies.ts';
import { inTransaction } from './in-transaction.ts';
import type { Permit } from './permit.ts';
import { readBody, tenancyOf } from './read-request.ts';
import { recordChange } from './record-change.ts';

/** The keys that an org's documents are sealed with: listed, rotated, destroyed. */
export const keyRoutes = ({
  database,
  audit,
  contentStore,
  clock,
  permit,
}: Pick<ApiDependencies, 'database' | 'audit' | 'contentStore' | 'clock'> & { permit: Permit }): Hono<ApiEnvironment> => {
  const routes = new Hono<ApiEnvironment>();
  const resource = { kind: 'OrgKey', name: '*' } as const;
  /** A project's own policies may let people declare things in it; the keys are the whole org's. */
  const permitKeys = async (person: Person, tenancy: Tenancy): Promise<ApiDecision> => {
    const decision = await permit(person, 'applyResource', tenancy, resource);
    if (person.roles.includes('administrator')) return decision;
    throw new PlatformError('not_permitted', `The keys of ${tenancy.org} are for its administrators alone.`, {
      facts: { decisionId: decision.decisionId },
    });
  };

  routes.get('/:org/:project/keys', async (context) => {
    const tenancy = tenancyOf(context);
    await permitKeys(context.get('person'), tenancy);
    return context.json({ keys: await listOrgKeys(database, tenancy.org) });
  });

  routes.post('/:org/:project/keys/rotate', async (context) => {
    const tenancy = tenancyOf(context);
    const person = context.get('person');
    const decision = await permitKeys(person, tenancy);
    const id = await inTransaction(database, async (within) => {
      const made = await contentStore.ring.rotate(tenancy.org, within);
      const facts = { change: 'rotated', key: made };
      await recordChange(audit, within, tenancy, person, decision, { action: 'applyResource', resource: `OrgKey/${tenancy.org}`, facts });
      return made;
    });
    return context.json({ id });
  });

  routes.post('/:org/:project/keys/shred', async (context) => {
    const tenancy = tenancyOf(context);
    const { confirm } = await readBody(context, ShredKeysSchema);
    const person = context.get('person');
    const decision = await permitKeys(person, tenancy);
    if (confirm !== tenancy.org)
      throw new PlatformError(
        'request_invalid',
        `To destroy the keys of ${tenancy.org}, say that name in \`confirm\`; nothing brings back what they sealed.`,
      );
    const destroyed = await inTransaction(database, async (within) => {
      const ids = await shredOrgKeys(within, tenancy.org, clock());
      const facts = { change: 'destroyed', keys: ids };
      await recordChange(audit, within, tenancy, person, decision, { action: 'applyResource', resource: `OrgKey/${tenancy.org}`, facts });
      return ids;
    });
    return context.json({ destroyed });
  });

  return routes;
};
