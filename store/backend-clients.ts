import { and, eq, sql } from 'drizzle-orm';
import { backendClients } from '../schema/tables/tables.ts';
import type { ServerOfGrant } from './backend-grants.ts';
import { type Database, guarded } from './database.ts';
import { type ContentKeys, seal, unseal } from './secrets/seal.ts';

/** What a sealed client belongs to. */
export const clientContext = ({ org, project, server }: ServerOfGrant, issuer: string): string =>
  JSON.stringify(['client', org, project, server, issuer]);

/** As whom we were registered at the issuers of MCP servers, sealed like the grants. */
export const createBackendClientStore = (database: Database, keys: ContentKeys) => ({
  find: (server: ServerOfGrant, issuer: string): Promise<unknown> =>
    guarded(async () => {
      const { org, project, server: name } = server;
      const [row] = await database
        .select()
        .from(backendClients)
        .where(
          and(
            eq(backendClients.org, org),
            eq(backendClients.project, project),
            eq(backendClients.server, name),
            eq(backendClients.issuer, issuer),
          ),
        );
      if (!row) return undefined;
      return JSON.parse(unseal(keys, row.sealed, clientContext(server, issuer)).toString('utf8'));
    }),
  put: ({ org, project, server }: ServerOfGrant, issuer: string, client: object): Promise<void> =>
    guarded(async () => {
      const sealed = seal(keys, Buffer.from(JSON.stringify(client)), clientContext({ org, project, server }, issuer));
      await database
        .insert(backendClients)
        .values({ org, project, server, issuer, sealed })
        .onConflictDoUpdate({
          target: [backendClients.org, backendClients.project, backendClients.server, backendClients.issuer],
          set: { sealed, createdAt: sql`now()` },
        });
    }),
});
export type BackendClientStore = ReturnType<typeof createBackendClientStore>;
