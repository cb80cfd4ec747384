import type { ServerMetadata } from 'openid-client';
import { z } from 'zod';
import { PlatformError } from '../../schema/errors.ts';
import type { BackendClientStore } from '../../store/backend-clients.ts';
import type { SecretSources } from '../../store/secrets/references.ts';
import { isSafePlace } from './backend-fetch.ts';
import { authBySecret, type ClientFacts, declaredClient, methodFor } from './client-configuration.ts';
import { connectClientMetadata, connectClientPath } from './connect-urls.ts';
import type { Authorization } from './create-authorization-finder.ts';
import type { OfKind } from './protected-server.ts';
import { readJson } from './read-json.ts';

const RegistrationSchema = z.object({
  client_id: z.string().min(1),
  client_secret: z.string().optional(),
  token_endpoint_auth_method: z.string().optional(),
});
type Registration = z.infer<typeof RegistrationSchema>;

const factsOf = (
  { client_id: id, client_secret: secret, token_endpoint_auth_method: said }: Registration,
  metadata: ServerMetadata,
): ClientFacts => {
  const method = secret === undefined ? 'none' : (said ?? methodFor(metadata));
  return { id, method, auth: authBySecret(method, secret) };
};

const methodToRegister = (metadata: ServerMetadata): string =>
  metadata.token_endpoint_auth_methods_supported?.includes('none') ? 'none' : methodFor(metadata);

/**
 * As whom we ask an authorization server for people's grants: the client that is declared, else the one that our own document describes,
 * else one that is registered there, once for each issuer: what one issuer gave, no other sees.
 * @throws {PlatformError} `credential_refused` where none of them will do
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#client-registration-approaches
 */
export const createGrantClients = ({
  store,
  secrets,
  issuerUrl,
}: {
  store: BackendClientStore;
  secrets: SecretSources;
  issuerUrl: string;
}) => {
  const register = async (server: OfKind<'userGrant'>, { metadata, fetch }: Authorization): Promise<Registration> => {
    const { registration_endpoint: endpoint, issuer } = metadata;
    const refused = (what: string, cause?: unknown) =>
      new PlatformError(
        'credential_refused',
        `${issuer} knows no client for the MCP server ${server.name}: ${what}. Declare one in \`spec.auth.client\`.`,
        { cause },
      );
    if (endpoint === undefined || !isSafePlace(endpoint)) throw refused('clients cannot register there');
    // without scopes: a client that is registered for some could never ask for more
    const wanted = {
      ...connectClientMetadata(issuerUrl),
      token_endpoint_auth_method: methodToRegister(metadata),
    };
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify(wanted),
    }).catch((cause: unknown) => {
      throw refused('it does not answer', cause);
    });
    const read = response.ok ? RegistrationSchema.safeParse(await readJson(response)) : undefined;
    if (read?.success !== true) throw refused(`it registers none (HTTP ${response.status})`);
    await store.put({ ...server, server: server.name }, issuer, read.data);
    return read.data;
  };

  /** @param options.registers - whether a client may be registered now: where somebody is about to be sent there */
  return async (server: OfKind<'userGrant'>, found: Authorization, { registers }: { registers: boolean }): Promise<ClientFacts> => {
    const { metadata } = found;
    if (server.auth.client) return declaredClient(server, server.auth.client, metadata, secrets);
    if (metadata.client_id_metadata_document_supported === true && issuerUrl.startsWith('https:'))
      return { id: `${issuerUrl}${connectClientPath}`, method: 'none', auth: authBySecret('none', undefined) };
    const known = RegistrationSchema.safeParse(await store.find({ ...server, server: server.name }, metadata.issuer));
    if (known.success) return factsOf(known.data, metadata);
    if (!registers) throw new PlatformError('credential_refused', `No client is registered for the MCP server ${server.name}.`);
    return factsOf(await register(server, found), metadata);
  };
};
export type GrantClients = ReturnType<typeof createGrantClients>;
