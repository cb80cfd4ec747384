import { type Context, Hono } from 'hono';
import { z } from 'zod';
import { PlatformError } from '../../schema/errors.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { denySigningKey, listSigningKeys, rotateSigningKey } from '../../store/signing-keys.ts';
import type { ApiDependencies, ApiEnvironment } from './api-dependencies.ts';
import { inTransaction } from './in-transaction.ts';
import type { Permit } from './permit.ts';
import { parseAs } from './read-request.ts';
import { recordChange } from './record-change.ts';

const kind = 'SigningKey';
const KidSchema = z.string().regex(/^[\w-]{1,128}$/, 'a key id, as `quarterdeck token keys ls` has it');

/** The keys that the issuer signs with: listed, rotated before their time, denied. They are the installation's, so of its first org. */
export const signingKeyRoutes = ({
  database,
  audit,
  permit,
}: Pick<ApiDependencies, 'database' | 'audit'> & { permit: Permit }): Hono<ApiEnvironment> => {
  const routes = new Hono<ApiEnvironment>();
  const allow = (context: Context<ApiEnvironment>, name: string) =>
    permit(context.get('person'), 'applyResource', defaultTenancy, { kind, name });

  routes.get('/signing-keys', async (context) => {
    await allow(context, '*');
    const keys = await listSigningKeys(database);
    return context.json({
      keys: keys.map(({ kid, state, madeAt, signsFrom, refusedFrom }) => ({ kid, state, madeAt, signsFrom, refusedFrom })),
    });
  });

  routes.post('/signing-keys/rotate', async (context) => {
    const decision = await allow(context, '*');
    const rotated = await inTransaction(database, async (within) => {
      const next = await rotateSigningKey(within);
      if (next === undefined)
        throw new PlatformError(
          'conflict',
          'No key could sign sooner: the last rotation has just begun, or the issuer makes the next key within a second. Look with `quarterdeck token keys ls`, and try again.',
        );
      const what = { action: 'applyResource', resource: `${kind}/${next.kid}`, facts: { change: 'rotated' } };
      await recordChange(audit, within, defaultTenancy, context.get('person'), decision, what);
      return next;
    });
    return context.json(rotated);
  });

  routes.post('/signing-keys/:kid/deny', async (context) => {
    const kid = parseAs(KidSchema, context.req.param('kid'), 'path');
    const decision = await allow(context, kid);
    await inTransaction(database, async (within) => {
      if (!(await denySigningKey(within, kid)))
        throw new PlatformError(
          'not_found',
          `There is no key ${kid} that is not denied already; \`quarterdeck token keys ls\` lists them.`,
        );
      const what = { action: 'applyResource', resource: `${kind}/${kid}`, facts: { change: 'denied' } };
      await recordChange(audit, within, defaultTenancy, context.get('person'), decision, what);
    });
    return context.json({ kid, state: 'denied' });
  });

  return routes;
};
