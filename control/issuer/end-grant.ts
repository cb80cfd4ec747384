import { tokenRevocation } from 'openid-client';
import type { BackendGrant, GrantStore } from '../../store/backend-grants.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { grantKeyOf } from './grant-of.ts';
import type { OfKind } from './protected-server.ts';
import type { ReachGrant } from './reach-grant.ts';

/** Ends at their issuers the grants that people took back. */
export const createGrantEnding = ({ store, reach, logger }: { store: GrantStore; reach: ReachGrant; logger: Logger }) => {
  /** Tells the issuer that a person took the grant back (RFC 7009). */
  const endAtIssuer = async (server: OfKind<'userGrant'>, grant: BackendGrant): Promise<void> => {
    const { configuration } = await reach(server, grant, false);
    if (configuration.serverMetadata().revocation_endpoint === undefined) return;
    const { refreshToken, accessToken } = grant.tokens;
    if (refreshToken !== undefined) await tokenRevocation(configuration, refreshToken, { token_type_hint: 'refresh_token' });
    await tokenRevocation(configuration, accessToken, { token_type_hint: 'access_token' });
  };

  /**
   * Ends what the person took back before they grant anew: told later, an issuer that knows one grant for each person and client would end
   * the new one. Told or not, it is gone here.
   */
  const endRevoked = async (server: OfKind<'userGrant'>, personId: string): Promise<void> => {
    for (const grant of await store.listRevoked(grantKeyOf(server, personId))) {
      await endAtIssuer(server, grant).catch((err: unknown) =>
        logger.warn({ err, server: server.name, issuer: grant.issuer }, 'an issuer could not be told that a grant was taken back'),
      );
      await store.remove(grant);
    }
  };

  return { endAtIssuer, endRevoked };
};
export type GrantEnding = ReturnType<typeof createGrantEnding>;
