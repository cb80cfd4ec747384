import { applyResources } from '../../store/resources.ts';
import { startLegacyFixture } from './conformance/legacy-server.ts';
import { startModernFixture } from './conformance/modern-server.ts';
import { pollUntil } from './poll-until.ts';
import { startTestDatabase } from './postgres.ts';
import { parsed } from './running-gateway.ts';
import { startSurfaceReplica } from './surface-replica.ts';

/** Two replicas of the surface on one database, in front of a server of each era: toolsets `legacy` and `modern`, each looked at. */
export const startFixtureReplicas = async () => {
  const database = await startTestDatabase();
  const fixtures = { legacy: await startLegacyFixture(), modern: await startModernFixture() };
  const first = await startSurfaceReplica(database.url);
  await applyResources(
    first.database,
    parsed(
      { kind: 'Project', metadata: { name: 'default' }, spec: {} },
      ...Object.entries(fixtures).flatMap(([name, { url }]) => [
        { kind: 'McpServer', metadata: { name }, spec: { url } },
        { kind: 'Toolset', metadata: { name }, spec: { servers: [{ name }], naming: 'plain' } },
      ]),
    ),
  );
  await pollUntil(async () => first.context.declared().list('Toolset').length === 2 || undefined, 'the toolsets');
  await first.look('legacy', 'modern');
  const second = await startSurfaceReplica(database.url);
  await second.look('legacy', 'modern');
  return {
    databaseUrl: database.url,
    replicas: [first, second],
    close: async (): Promise<void> => {
      for (const part of [first, second, fixtures.legacy, fixtures.modern, database]) await part.close();
    },
  };
};
