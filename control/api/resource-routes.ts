import { type Context, Hono } from 'hono';
import { z } from 'zod';
import { PlatformError } from '../../schema/errors.ts';
import { NameSchema } from '../../schema/ids.ts';
import { jsonSchemaOf } from '../../schema/resource.ts';
import { queryAudit } from '../../store/audit.ts';
import { listResources } from '../../store/resources.ts';
import type { ApiConfig, ApiDependencies, ApiEnvironment } from './api-dependencies.ts';
import { createDocuments } from './apply-documents.ts';
import { getResource, removeResource } from './delete-resource.ts';
import type { DocumentIssue } from './document-issue.ts';
import { createGuardedChanges } from './guarded-changes.ts';
import type { Permit } from './permit.ts';
import { kindOf, parseAs, readBody, tenancyOf } from './read-request.ts';
import { renderProblem } from './render-error.ts';

const DocumentsSchema = z.strictObject({ documents: z.array(z.unknown()).min(1).max(1000), dryRun: z.boolean().default(false) });
const eventsShown = 10;
const eventsSearched = 2_000;

const invalid = (issues: DocumentIssue[]): PlatformError =>
  new PlatformError(
    'resource_invalid',
    `Nothing was applied: ${issues.length === 1 ? 'one field is' : `${issues.length} fields are`} not as expected. The first: document ${(issues[0]?.document ?? 0) + 1}, ${issues[0]?.path.join('.') || 'root'}: ${issues[0]?.message}.`,
  );

/** `apply`, `diff`, `get`, `delete` and the schemas of the kinds. */
export const resourceRoutes = (
  { profile }: Pick<ApiConfig, 'profile'>,
  { permit, ...dependencies }: ApiDependencies & { permit: Permit },
): Hono<ApiEnvironment> => {
  const { database, audit } = dependencies;
  const guards = createGuardedChanges({ permit, profile });
  const documents = createDocuments({ ...dependencies, permit, guards });
  const routes = new Hono<ApiEnvironment>();
  const keyOf = (context: Context<ApiEnvironment>) => {
    const { org, project } = tenancyOf(context);
    const kind = kindOf(context);
    const name = parseAs(NameSchema, context.req.param('name'), 'path');
    // a Project stands for itself, whichever project is asked about it
    return { org, project: kind === 'Project' ? name : project, kind, name };
  };

  routes.post('/apply', async (context) => {
    const body = await readBody(context, DocumentsSchema);
    const applied = await documents.apply(context.get('person'), body.documents, body.dryRun);
    return applied.ok ? context.json({ results: applied.results }) : renderProblem(context, invalid(applied.issues), applied.issues);
  });

  routes.post('/diff', async (context) => {
    const body = await readBody(context, DocumentsSchema);
    const compared = await documents.compare(context.get('person'), body.documents);
    return compared.ok ? context.json({ results: compared.results }) : renderProblem(context, invalid(compared.issues), compared.issues);
  });

  routes.get('/schemas/:kind', (context) => context.json(jsonSchemaOf(kindOf(context))));

  routes.get('/:org/:project/resources', async (context) => {
    const tenancy = tenancyOf(context);
    await permit(context.get('person'), 'getResource', tenancy);
    return context.json({ items: await listResources(database, tenancy) });
  });

  routes.get('/:org/:project/resources/:kind', async (context) => {
    const { org, project } = tenancyOf(context);
    const kind = kindOf(context);
    await permit(context.get('person'), 'getResource', { org, project });
    // a Project stands for itself, so those of an org are listed together
    return context.json({ items: await listResources(database, kind === 'Project' ? { org, kind } : { org, project, kind }) });
  });

  routes.get('/:org/:project/resources/:kind/:name', async (context) => {
    const key = keyOf(context);
    await permit(context.get('person'), 'getResource', key, key);
    return context.json(await getResource(database, key));
  });

  /** The last changes of one resource, oldest first. */
  routes.get('/:org/:project/resources/:kind/:name/events', async (context) => {
    const key = keyOf(context);
    await permit(context.get('person'), 'getResource', key, key);
    const changes = await queryAudit(database, key, { kind: 'change', limit: eventsSearched }, audit.people);
    return context.json({ events: changes.filter(({ resource }) => resource === `${key.kind}/${key.name}`).slice(-eventsShown) });
  });

  routes.delete('/:org/:project/resources/:kind/:name', async (context) => {
    const key = keyOf(context);
    const decision = await permit(context.get('person'), 'deleteResource', key, key);
    await removeResource({ database, audit, guards }, context.get('person'), decision, key);
    return context.json({ kind: key.kind, org: key.org, project: key.project, name: key.name, action: 'deleted' });
  });

  return routes;
};
