import { NameSchema } from '../../schema/ids.ts';
import type { OAuthClientSpec } from '../../schema/resources/identity-provider.ts';
import type { Database } from '../../store/database.ts';
import { findResource } from '../../store/resources.ts';
import { resolveSecret, type SecretSources } from '../../store/secrets/references.ts';
import { tokenExchangeGrant } from './exchange-run-token.ts';
import { jwtBearerGrant } from './read-assertion.ts';

/** On loopback any port is good (RFC 8252 §7.3), which the library allows to native clients. */
const isNative = (redirectUris: readonly string[]): boolean => redirectUris.some((uri) => !uri.startsWith('https:'));

const grantTypesOf = {
  authorization_code: ['authorization_code', 'refresh_token'],
  client_credentials: ['client_credentials'],
  'token-exchange': [tokenExchangeGrant],
  'id-jag': [jwtBearerGrant],
} as const satisfies Record<OAuthClientSpec['grants'][number], readonly string[]>;

/** Finds the clients that were declared as `OAuthClient`, whose `client_id` is `org/project/name`; as the library takes them. */
export const createClientFinder =
  (database: Database, secrets: SecretSources) =>
  async (clientId: string): Promise<Record<string, unknown> | undefined> => {
    const [org, project, name, ...rest] = clientId.split('/');
    if (!org || !project || !name || rest.length > 0) return undefined;
    if (![org, project, name].every((part) => NameSchema.safeParse(part).success)) return undefined;
    const found = await findResource(database, { org, project, kind: 'OAuthClient', name });
    if (!found) return undefined;
    const { displayName, redirectUris, clientSecret, grants, boundTokens } = found.spec;
    const isForPeople = grants.includes('authorization_code');
    return {
      client_id: clientId,
      client_name: displayName ?? name,
      redirect_uris: redirectUris,
      application_type: isNative(redirectUris) ? 'native' : 'web',
      response_types: isForPeople ? ['code'] : [],
      grant_types: [...new Set(grants.flatMap((grant) => grantTypesOf[grant]))],
      dpop_bound_access_tokens: boundTokens,
      token_endpoint_auth_method: clientSecret ? 'client_secret_basic' : 'none',
      ...(clientSecret
        ? { client_secret: await resolveSecret(clientSecret, secrets, { org, project, kind: 'OAuthClient', name, field: 'clientSecret' }) }
        : {}),
    };
  };
