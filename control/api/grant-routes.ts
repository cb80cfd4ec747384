import { type Context, Hono } from 'hono';
import { PlatformError } from '../../schema/errors.ts';
import { NameSchema } from '../../schema/ids.ts';
import type { ListedGrant } from '../../store/backend-grants.ts';
import { listGrants, revokeGrant } from '../../store/given-grants.ts';
import type { ApiDecision, ApiDependencies, ApiEnvironment } from './api-dependencies.ts';
import { inTransaction } from './in-transaction.ts';
import { newDecisionId } from './new-decision-id.ts';
import type { Permit } from './permit.ts';
import { parseAs, tenancyOf } from './read-request.ts';
import { recordChange } from './record-change.ts';

const shown = ({ server, personId, issuer, scopes, createdAt, refreshedAt, expiresAt }: ListedGrant) => ({
  server,
  person: personId,
  issuer,
  scopes,
  createdAt,
  refreshedAt,
  expiresAt,
});

/** What people granted at MCP servers: each sees and takes back their own; those of others are an administrator's. */
export const grantRoutes = ({
  database,
  audit,
  permit,
}: Pick<ApiDependencies, 'database' | 'audit'> & { permit: Permit }): Hono<ApiEnvironment> => {
  const routes = new Hono<ApiEnvironment>();

  const decisionOn = async (context: Context<ApiEnvironment>, owner: string | undefined, name: string): Promise<ApiDecision> => {
    const [person, tenancy] = [context.get('person'), tenancyOf(context)];
    // what is one's own needs no policy
    if (owner === person.id && person.org === tenancy.org) return { effect: 'allow', decisionId: newDecisionId(), policies: [] };
    return permit(person, 'applyResource', tenancy, { kind: 'Grant', name });
  };

  routes.get('/:org/:project/grants', async (context) => {
    const owner = context.req.query('all') === undefined ? context.get('person').id : undefined;
    await decisionOn(context, owner, '*');
    return context.json({ grants: (await listGrants(database, tenancyOf(context), owner)).map(shown) });
  });

  routes.delete('/:org/:project/grants/:server', async (context) => {
    const [person, tenancy] = [context.get('person'), tenancyOf(context)];
    const server = parseAs(NameSchema, context.req.param('server'), 'path');
    const owner = parseAs(NameSchema, context.req.query('person') ?? person.id, 'query');
    const decision = await decisionOn(context, owner, server);
    await inTransaction(database, async (within) => {
      if (!(await revokeGrant(within, { ...tenancy, server, personId: owner })))
        throw new PlatformError('not_found', `${owner} has granted nothing at the server ${server} of ${tenancy.org}/${tenancy.project}.`);
      const what = { action: 'revokeGrant', resource: `McpServer/${server}`, facts: { change: 'revoked', owner } };
      await recordChange(audit, within, tenancy, person, decision, what);
    });
    return context.json({ server, person: owner, revoked: true });
  });

  return routes;
};
