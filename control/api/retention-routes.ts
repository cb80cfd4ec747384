import { Hono } from 'hono';
import type { Tenancy } from '../../schema/ids.ts';
import { ProjectSpecSchema } from '../../schema/resources/project.ts';
import { RetentionQuerySchema, type RetentionReport, type RetentionSpec, retainedKinds, retentionFields } from '../../schema/retention.ts';
import type { Database } from '../../store/database.ts';
import { findResource } from '../../store/resources.ts';
import { findRemoved } from '../../store/retention-progress.ts';
import { countDue, measureKept } from '../../store/retention-report.ts';
import type { ApiDependencies, ApiEnvironment } from './api-dependencies.ts';
import type { Permit } from './permit.ts';
import { readQuery, tenancyOf } from './read-request.ts';

const report = async (database: Database, tenancy: Tenancy, retention: Partial<RetentionSpec>, now: Date): Promise<RetentionReport> => {
  const kinds: RetentionReport['kinds'] = [];
  for (const what of retainedKinds) {
    const days = retention[retentionFields[what]] ?? null;
    kinds.push({
      what,
      days,
      ...(await measureKept(database, tenancy, what)),
      due: days === null ? 0 : await countDue(database, tenancy, what, new Date(now.getTime() - days * 86_400_000)),
      removed: (await findRemoved(database, tenancy, what)) ?? null,
    });
  }
  return { hold: retention.hold ?? false, kinds };
};

/** What a project keeps and for how long, what would go, and what has gone; with days in the query as if the project said so. */
export const retentionRoutes = ({
  database,
  clock,
  permit,
}: Pick<ApiDependencies, 'database' | 'clock'> & { permit: Permit }): Hono<ApiEnvironment> => {
  const routes = new Hono<ApiEnvironment>();
  routes.get('/:org/:project/retention', async (context) => {
    const tenancy = tenancyOf(context);
    const tried = readQuery(context, RetentionQuerySchema);
    await permit(context.get('person'), 'readAudit', tenancy);
    const declared = await findResource(database, { ...tenancy, kind: 'Project', name: tenancy.project });
    const { retention } = declared ? ProjectSpecSchema.parse(declared.spec) : {};
    return context.json(await report(database, tenancy, { ...retention, ...tried }, clock()));
  });
  return routes;
};
