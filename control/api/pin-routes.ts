import { type Context, Hono } from 'hono';
import { AcceptPinsSchema } from '../../schema/definition.ts';
import { NameSchema } from '../../schema/ids.ts';
import { listDefinitions } from '../../store/definitions.ts';
import { findResource } from '../../store/resources.ts';
import { acceptPins, exactDefinitions, pinOf, submittersOf } from './accept-pins.ts';
import type { ApiConfig, ApiDependencies, ApiEnvironment } from './api-dependencies.ts';
import { changeNeed } from './change-need.ts';
import { getResource } from './delete-resource.ts';
import type { Permit } from './permit.ts';
import { proposeChange, waitingAnswer } from './propose-change.ts';
import { parseAs, readBody, tenancyOf } from './read-request.ts';

/** What is pinned of MCP servers: shown, and accepted by a person. */
export const pinRoutes = (
  { profile }: Pick<ApiConfig, 'profile'>,
  dependencies: Pick<ApiDependencies, 'database' | 'audit' | 'approvalKeys'> & { permit: Permit },
): Hono<ApiEnvironment> => {
  const { database, audit, permit } = dependencies;
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
    const server = { org: key.org, project: key.project, server: key.name };
    const submitters = await submittersOf(database, server);
    const target = { ...key, submitters };
    const place = await findResource(database, { ...server, kind: 'Project', name: key.project });
    const need = changeNeed('definitions', profile, place?.spec);
    const isTheirs = submitters.includes(person.id);
    if (need && (isTheirs || place?.spec.approvals?.definitions)) {
      // who declared a server may ask for its definitions to be accepted, and others then do so
      const decision = await permit(person, 'approveServer', key, { ...key, submitters: submitters.filter((each) => each !== person.id) });
      await getResource(database, key);
      const change = exactDefinitions(server, await listDefinitions(database, server), accept);
      const subject = `definitions of ${key.name}`;
      const waiting = await proposeChange(dependencies, person, key, decision, { change, subject, need });
      return context.json(waitingAnswer(waiting), 202);
    }
    const decision = await permit(person, 'approveServer', key, target);
    await getResource(database, key);
    const accepted = await acceptPins({ database, audit }, person, decision, server, accept);
    return context.json({ accepted: accepted.map(({ kind, name, after }) => ({ kind, name, currentHash: after })) });
  });

  return routes;
};
