import { NameSchema } from '../../schema/ids.ts';
import type { Database } from '../../store/database.ts';
import { findResource } from '../../store/resources.ts';
import { resolveSecret, type SecretSources } from '../../store/secrets/references.ts';

/** On loopback any port is good (RFC 8252 §7.3), which the library allows to native clients. */
const isNative = (redirectUris: readonly string[]): boolean => redirectUris.some((uri) => !uri.startsWith('https:'));

/** Finds the clients that were declared as `OAuthClient`, whose `client_id` is `org/project/name`; as the library takes them. */
export const createClientFinder =
  (database: Database, secrets: SecretSources) =>
  async (clientId: string): Promise<Record<string, unknown> | undefined> => {
    const [org, project, name, ...rest] = clientId.split('/');
    if (!org || !project || !name || rest.length > 0) return undefined;
    if (![org, project, name].every((part) => NameSchema.safeParse(part).success)) return undefined;
    const found = await findResource(database, { org, project, kind: 'OAuthClient', name });
    if (!found) return undefined;
    const { displayName, redirectUris, clientSecret } = found.spec;
    return {
      client_id: clientId,
      client_name: displayName ?? name,
      redirect_uris: redirectUris,
      application_type: isNative(redirectUris) ? 'native' : 'web',
      response_types: ['code'],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: clientSecret ? 'client_secret_basic' : 'none',
      ...(clientSecret
        ? { client_secret: await resolveSecret(clientSecret, secrets, { org, project, kind: 'OAuthClient', name, field: 'clientSecret' }) }
        : {}),
    };
  };
