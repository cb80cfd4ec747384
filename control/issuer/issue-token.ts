import { randomBytes } from 'node:crypto';
import { errors, type KoaContextWithOIDC, type Provider } from 'oidc-provider';
import { personTokenLifetimeSeconds, readResource } from '../../schema/access-token.ts';
import type { Database } from '../../store/database.ts';
import { putIssuerRecord } from '../../store/issuer-records.ts';
import { findPerson } from '../../store/people.ts';
import type { AssertedBy } from './admit-person.ts';

type Client = NonNullable<KoaContextWithOIDC['oidc']['client']>;

export type TokenWish = {
  /** The resource asked for (RFC 8707). */
  resource: string | undefined;
  /** Space-separated; absent asks for what the resource has. */
  scope?: string | undefined;
  /** What may be given at most, where somebody has said so. */
  allowedScope?: string | undefined;
  /** Thumbprint of the key that the client has proven: the token is bound to it. */
  jkt?: string | undefined;
};

/** What a token request that was granted is answered with (RFC 6749 §5.1, RFC 8693 §2.2.1). */
export type TokenAnswer = {
  access_token: string;
  issued_token_type: string;
  token_type: 'Bearer' | 'DPoP';
  expires_in: number;
  scope: string;
};

const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';
const within = (scope: string | undefined, one: string): boolean => scope === undefined || scope.split(' ').includes(one);

/**
 * Makes the maker of tokens without a login of their own: a short grant of the person's, which ends with them being shut out, and one access
 * token for one resource. There is no refresh token: whoever wants another one shows again what they showed.
 */
export const createTokenMaker =
  ({
    provider,
    database,
    places,
    kid,
  }: {
    provider: Provider;
    database: Database;
    places: { gatewayUrl: string; apiResource: string };
    kid: string;
  }) =>
  /**
   * @param by.endsAtSeconds - when what was shown ends, in seconds since the epoch: no token outlives it
   * @throws {OIDCProviderError} `invalid_target`, `invalid_scope`, `invalid_grant` for a person who is shut out
   */
  async (
    client: Client,
    { org, person, stamp, endsAtSeconds, nowSeconds }: AssertedBy & { nowSeconds: number },
    wish: TokenWish,
  ): Promise<TokenAnswer> => {
    const found = wish.resource === undefined ? undefined : readResource(wish.resource, places);
    if (found === undefined) throw new errors.InvalidTarget('name one resource of this installation');
    const { audience, scope } = found;
    if (!within(wish.scope, scope) || !within(wish.allowedScope, scope))
      throw new errors.InvalidScope('nothing of that scope is allowed there', scope);
    const known = await findPerson(database, org, person);
    if (known === undefined || known.disabled) throw new errors.InvalidGrant('the person is shut out');

    const lifetimeSeconds = Math.min(personTokenLifetimeSeconds, endsAtSeconds - nowSeconds);
    if (lifetimeSeconds <= 0) throw new errors.InvalidGrant('what was shown has ended');
    const accountId = `${org}/${person}`;
    const sid = randomBytes(16).toString('base64url');
    await putIssuerRecord(database, 'Grant', sid, { accountId, clientId: client.clientId, stamp }, lifetimeSeconds);
    const resourceServer = new provider.ResourceServer(audience, {
      audience,
      scope,
      accessTokenFormat: 'jwt',
      jwt: { sign: { alg: 'ES256', kid } },
    });
    const token = new provider.AccessToken({
      client,
      resourceServer,
      accountId,
      scope,
      grantId: sid,
      gty: stamp,
      iat: nowSeconds,
      exp: nowSeconds + lifetimeSeconds,
      extra: { org, sid },
    });
    if (wish.jkt !== undefined) token.setThumbprint('jkt', wish.jkt);
    return {
      access_token: await token.save(),
      issued_token_type: accessTokenType,
      token_type: wish.jkt === undefined ? 'Bearer' : 'DPoP',
      expires_in: lifetimeSeconds,
      scope,
    };
  };
export type TokenMaker = ReturnType<typeof createTokenMaker>;
