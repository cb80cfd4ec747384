import { type Context, Hono } from 'hono';
import { AcceptPinsSchema } from '../../schema/definition.ts';
import { NameSchema } from '../../schema/ids.ts';
import { listDefinitions } from '../../store/definitions.ts';
import { acceptPins, pinOf } from './accept-pins.ts';
import type { ApiDependencies, ApiEnvironment } from './api-dependencies.ts';
import { getResource } from './delete-resource.ts';
import type { Permit } from './permit.ts';
import { parseAs, readBody, tenancyOf } from './read-request.ts';

/** What is pinned of MCP servers: shown, and accepted by a person. */
export const pinRoutes = ({
  database,
  audit,
  permit,
}: Pick<ApiDependencies, 'database' | 'audit'> & { permit: Permit }): Hono<ApiEnvironment> => {
  const routes = new Hono<ApiEnvironment>();
  const keyOf = (context: Context<ApiEnvironment>) => ({
    ...tenancyOf(context),
    kind: 'McpServer' as const,
    name: parseAs(NameSchema, context.req.param('server'), 'path'),
  });

  routes.get('/:org/:project/pins', async (context) => {
    const tenancy = tenancyOf(context);
    await permit(context.get('person'), 'getResource', tenancy);
    return context.json({ pins: (await listDefinitions(database, tenancy)).map(pinOf) });
  });

  routes.get('/:org/:project/servers/:server/pins', async (context) => {
    const key = keyOf(context);
    await permit(context.get('person'), 'getResource', key, key);
    await getResource(database, key);
    return context.json({ pins: (await listDefinitions(database, { ...key, server: key.name })).map(pinOf) });
  });

  routes.post('/:org/:project/servers/:server/pins/accept', async (context) => {
    const key = keyOf(context);
    const accept = await readBody(context, AcceptPinsSchema);
    const person = context.get('person');
    const decision = await permit(person, 'approveServer', key, key);
    await getResource(database, key);
    const accepted = await acceptPins(
      { database, audit },
      person,
      decision,
      { org: key.org, project: key.project, server: key.name },
      accept,
    );
    return context.json({ accepted: accepted.map(({ kind, name, after }) => ({ kind, name, currentHash: after })) });
  });

  return routes;
};
