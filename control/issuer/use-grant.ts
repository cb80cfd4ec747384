import type { BackendCredential } from '../../schema/backend-credential.ts';
import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import type { BackendGrant, GrantStore } from '../../store/backend-grants.ts';
import { consentUrlOf } from './connect-urls.ts';
import type { FindAuthorization } from './create-authorization-finder.ts';
import { credentialOf } from './credential-of.ts';
import { grantKeyOf, isGrantOf, remainingMs } from './grant-of.ts';
import type { OfKind } from './protected-server.ts';
import type { RefreshGrant } from './renew-grant.ts';

/** The gateway asks again so often, so a grant that is taken back is used no longer. */
const longestUseMs = 10_000;
/** A token that ends so soon is replaced first. */
const endingMs = 60_000;

export type UseGrantParts = {
  store: GrantStore;
  findAuthorization: FindAuthorization;
  refresh: RefreshGrant;
  issuerUrl: string;
  clock: () => Date;
};

export const grantNeeded = (issuerUrl: string, server: OfKind<'userGrant'>, scopes: readonly string[] = []): PlatformError => {
  const consentUrl = consentUrlOf(issuerUrl, server, scopes);
  return new PlatformError(
    'grant_needed',
    `The MCP server ${server.name} has to be connected first. Open ${consentUrl} and allow it; then call again.`,
    {
      facts: { consentUrl },
    },
  );
};

/** Uses what people granted: gives out access tokens, and renews them before they end. */
export const createGrantUse = ({ store, findAuthorization, refresh, issuerUrl, clock }: UseGrantParts) => {
  const leftMs = (grant: BackendGrant): number => remainingMs(grant, clock());

  /** Where no issuer is declared, the person may agree to another one; what the old one gave never goes there. */
  const stillNamed = async (server: OfKind<'userGrant'>, grant: BackendGrant, isAnew: boolean): Promise<void> => {
    try {
      await findAuthorization(server, { bound: grant.issuer, isAnew });
    } catch (error) {
      if (!isPlatformError(error) || error.code !== 'server_drifted' || server.auth.issuer !== undefined) throw error;
      const consentUrl = consentUrlOf(issuerUrl, server);
      throw new PlatformError(
        'server_drifted',
        `The MCP server ${server.name} no longer names ${grant.issuer}, which you granted at. If that is meant, connect it again: ${consentUrl}`,
        { cause: error, facts: { consentUrl } },
      );
    }
  };

  /** What of a person's grant goes along to the server now; undefined where it has ended. */
  const credentialFrom = async (
    server: OfKind<'userGrant'>,
    found: BackendGrant,
    isRefused: boolean,
  ): Promise<BackendCredential | undefined> => {
    // whatever is stored goes to a server only as long as it names the issuer that it came from
    await stillNamed(server, found, isRefused);
    const grant = isRefused || leftMs(found) < endingMs ? await refresh(server, found, isRefused) : found;
    // whoever waited for another may find what the person agreed to meanwhile: at another server of that name, or at another issuer
    if (!grant || !isGrantOf(server, grant)) return undefined;
    if (grant.issuer !== found.issuer) await stillNamed(server, grant, isRefused);
    const { accessToken, proofKey, isBound } = grant.tokens;
    const token = { access_token: accessToken, token_type: isBound ? 'dpop' : 'bearer' };
    const credential = credentialOf(server, token, { scopes: [], proofKey });
    return { ...credential, lifetimeMs: Math.max(0, Math.min(longestUseMs, leftMs(grant))) };
  };

  /**
   * The access token of a person at a server.
   * @param personId - undefined: the platform itself looks at what the server offers, with the first grant that is of use: people who are
   * shut out lend theirs no more
   * @param options.scopes - that the server said it needs
   * @throws {PlatformError} `grant_needed`, `server_drifted`, `server_unavailable`
   */
  const use = async (
    server: OfKind<'userGrant'>,
    personId: string | undefined,
    { scopes, isRefused }: { scopes: readonly string[]; isRefused: boolean },
  ): Promise<BackendCredential> => {
    const known =
      personId === undefined
        ? await store.listUsable({ ...server, server: server.name }, server)
        : [await store.find(grantKeyOf(server, personId))].filter((grant) => grant !== undefined);
    const ours = known.filter((grant) => isGrantOf(server, grant));
    const wide = ours.filter((grant) => scopes.every((scope) => grant.scopes.includes(scope)));
    const [narrow] = ours;
    if (narrow && wide.length === 0) throw grantNeeded(issuerUrl, server, [...new Set([...narrow.scopes, ...scopes])]);
    const refusals: unknown[] = [];
    for (const grant of wide)
      try {
        const credential = await credentialFrom(server, grant, isRefused);
        if (credential) return credential;
      } catch (error) {
        // another one may be of another issuer, which the server still names
        if (!isPlatformError(error) || !['server_drifted', 'credential_refused'].includes(error.code)) throw error;
        refusals.push(error);
      }
    throw refusals[0] ?? grantNeeded(issuerUrl, server, scopes);
  };

  return use;
};
export type GrantUse = ReturnType<typeof createGrantUse>;
