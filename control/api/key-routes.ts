import { Hono } from 'hono';
import { PlatformError } from '../../schema/errors.ts';
import { defaultTenancy, type Tenancy } from '../../schema/ids.ts';
import { ShredKeysSchema } from '../../schema/org-key.ts';
import { RetireSealKeySchema, RotateSealKeysSchema } from '../../schema/seal-key.ts';
import { listOrgKeys } from '../../store/list-org-keys.ts';
import type { Person } from '../../store/people.ts';
import { askForSealKey, listAllSealKeys, retireSealKey } from '../../store/seal-keys.ts';
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
  listRootKeys = async () => [],
  permit,
}: Pick<ApiDependencies, 'database' | 'audit' | 'contentStore' | 'clock' | 'listRootKeys'> & { permit: Permit }): Hono<ApiEnvironment> => {
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

  const whole = { kind: 'SealKey', name: '*' } as const;
  /** These keys are the installation's: whoever may rotate them administers its first org. */
  const permitSealKeys = async (person: Person, tenancy: Tenancy): Promise<ApiDecision> => {
    const decision = await permit(person, 'applyResource', tenancy, whole);
    if (person.roles.includes('administrator') && tenancy.org === defaultTenancy.org) return decision;
    throw new PlatformError('not_permitted', `The keys of this installation are for administrators of ${defaultTenancy.org} alone.`, {
      facts: { decisionId: decision.decisionId },
    });
  };

  routes.get('/:org/:project/seal-keys', async (context) => {
    await permitSealKeys(context.get('person'), tenancyOf(context));
    return context.json({ keys: await listAllSealKeys(database), rootKeys: await listRootKeys() });
  });

  routes.post('/:org/:project/seal-keys/rotate', async (context) => {
    const tenancy = tenancyOf(context);
    const { names } = await readBody(context, RotateSealKeysSchema);
    const person = context.get('person');
    const decision = await permitSealKeys(person, tenancy);
    const keys = await inTransaction(database, async (within) => {
      const asked: { name: string; id: string }[] = [];
      for (const name of names) asked.push({ name, id: await askForSealKey(within, name) });
      const facts = { change: 'rotated', keys: asked.map(({ name, id }) => `${name}/${id}`) };
      await recordChange(audit, within, tenancy, person, decision, { action: 'applyResource', resource: 'SealKey', facts });
      return asked;
    });
    return context.json({ keys });
  });

  routes.post('/:org/:project/seal-keys/retire', async (context) => {
    const tenancy = tenancyOf(context);
    const key = await readBody(context, RetireSealKeySchema);
    const person = context.get('person');
    const decision = await permitSealKeys(person, tenancy);
    await inTransaction(database, async (within) => {
      await retireSealKey(within, key, clock());
      const facts = { change: 'retired', key: `${key.name}/${key.id}` };
      await recordChange(audit, within, tenancy, person, decision, { action: 'applyResource', resource: 'SealKey', facts });
    });
    return context.json(key);
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
