import type { Database } from '../../store/database.ts';
import type { AssertionStore } from '../../store/identity-assertions.ts';
import { listResources } from '../../store/resources.ts';

/** A login at an identity provider that has just come about. */
export type LoginTokens = {
  /** `org/project/name` of the provider. */
  provider: string;
  issuer: string;
  personId: string;
  idToken: string;
  refreshToken: string | undefined;
  expiresAt: Date;
};

/**
 * Keeps what an identity provider said of a person, where a server of the same project wants assertions made of it; elsewhere nothing is
 * kept of a login.
 */
export const createAssertionKeeper =
  (database: Database, store: AssertionStore) =>
  async ({ provider, personId, issuer, idToken, refreshToken, expiresAt }: LoginTokens): Promise<void> => {
    const [org, project, name] = provider.split('/');
    if (!org || !project || !name) return;
    const servers = await listResources(database, { org, project, kind: 'McpServer' });
    const isWanted = servers.some(({ kind, spec }) => {
      const auth = kind === 'McpServer' && 'url' in spec ? spec.auth : undefined;
      return auth?.kind === 'idJag' && auth.identityProvider === name;
    });
    if (!isWanted) return;
    const tokens = { idToken, ...(refreshToken === undefined ? {} : { refreshToken }) };
    await store.put({ org, project, provider: name, personId, issuer, expiresAt, tokens });
  };
export type KeepAssertion = ReturnType<typeof createAssertionKeeper>;
