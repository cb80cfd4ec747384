import type { ServerMetadata } from 'openid-client';
import { z } from 'zod';
import { PlatformError } from '../../schema/errors.ts';
import type { BackendFetch } from './backend-fetch.ts';
import type { ProtectedServer } from './protected-server.ts';
import { readJson } from './read-json.ts';

const MetadataSchema = z.looseObject({
  issuer: z.string(),
  token_endpoint: z.url().optional(),
  authorization_endpoint: z.url().optional(),
  registration_endpoint: z.url().optional(),
  revocation_endpoint: z.url().optional(),
  token_endpoint_auth_methods_supported: z.array(z.string()).optional(),
  code_challenge_methods_supported: z.array(z.string()).optional(),
  scopes_supported: z.array(z.string()).optional(),
  client_id_metadata_document_supported: z.boolean().optional(),
});

/** The places of RFC 8414 and OpenID Connect Discovery, in the order in which MCP asks for them. */
const placesOf = (issuer: string): string[] => {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  return [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}/.well-known/openid-configuration${path}`,
    ...(path === '' ? [] : [`${origin}${path}/.well-known/openid-configuration`]),
  ];
};

/**
 * What an MCP server of 2025-03-26 is taken to say that is its own authorization server and has no metadata at all. It has PKCE, for that
 * revision asks it of everybody.
 * @see https://modelcontextprotocol.io/specification/2025-03-26/basic/authorization#fallbacks-for-servers-without-metadata-discovery
 */
export const usualMetadata = (origin: string): ServerMetadata => ({
  issuer: origin,
  authorization_endpoint: `${origin}/authorize`,
  token_endpoint: `${origin}/token`,
  registration_endpoint: `${origin}/register`,
  code_challenge_methods_supported: ['S256'],
  token_endpoint_auth_methods_supported: ['none'],
});

/**
 * Reads the metadata of an authorization server. What calls itself by another name than it was asked by is not believed, whatever else it
 * says: it could be anybody's, and would get our secrets (RFC 8414 §3.3).
 * @param otherwise - what it is taken to say where it has none anywhere, and says so (404)
 * @throws {PlatformError} `server_drifted` where the names differ, `credential_refused` where there is none, `server_unavailable`
 */
export const readIssuerMetadata = async (
  issuer: string,
  { name }: Pick<ProtectedServer, 'name'>,
  fetch: BackendFetch,
  otherwise?: ServerMetadata,
): Promise<ServerMetadata> => {
  let isAbsent = true;
  for (const place of placesOf(issuer)) {
    const response = await fetch(place, { headers: { accept: 'application/json' } }).catch((cause: unknown) => {
      throw new PlatformError('server_unavailable', `The issuer of tokens for the MCP server ${name} does not answer; try again.`, {
        cause,
      });
    });
    if (response.status >= 500)
      throw new PlatformError('server_unavailable', `The issuer of tokens for the MCP server ${name} answers HTTP ${response.status}.`);
    isAbsent &&= response.status === 404;
    const read = response.status === 200 ? MetadataSchema.safeParse(await readJson(response)) : undefined;
    if (read?.success !== true) continue;
    if (read.data.issuer !== issuer)
      throw new PlatformError(
        'server_drifted',
        `The issuer of tokens for the MCP server ${name} calls itself by another name than ${issuer}: nothing is sent there.`,
      );
    return read.data as ServerMetadata;
  }
  if (isAbsent && otherwise) return otherwise;
  throw new PlatformError('credential_refused', `${issuer}, the issuer of tokens for the MCP server ${name}, has no metadata (RFC 8414).`);
};
