import { z } from 'zod';
import { PlatformError } from '../../schema/errors.ts';
import type { BackendFetch } from './backend-fetch.ts';
import type { ProtectedServer } from './protected-server.ts';
import { readJson } from './read-json.ts';

const wellKnown = '/.well-known/oauth-protected-resource';

const MetadataSchema = z.object({
  resource: z.url(),
  authorization_servers: z.array(z.url()).default([]),
  scopes_supported: z.array(z.string()).default([]),
  dpop_signing_alg_values_supported: z.array(z.string()).optional(),
  dpop_bound_access_tokens_required: z.boolean().default(false),
});

/** What an MCP server says of its tokens (RFC 9728). */
export type ServerDescription = { resource: string; issuers: string[]; scopes: string[]; proofs: ProofDemand };
/** What a server says of tokens that are bound to a key: which algorithms it takes, if it says so, and whether it takes no other tokens. */
export type ProofDemand = { algorithms?: string[] | undefined; isRequired: boolean };

const placesOf = (url: string, metadataUrl: string | undefined): string[] => {
  const { origin, pathname } = new URL(url);
  const path = pathname === '/' ? '' : pathname.replace(/\/$/, '');
  // a server speaks for its own origin alone
  const named = metadataUrl !== undefined && new URL(metadataUrl).origin === origin ? [metadataUrl] : [];
  return [...new Set([...named, `${origin}${wellKnown}${path}`, `${origin}${wellKnown}`])];
};

/** Whether a token for the resource is one for the server: the resource is the server, or stands above it (RFC 9728 §3.3). */
const isOf = (resource: string, url: string): boolean => {
  const [named, own] = [new URL(resource), new URL(url)];
  const path = named.pathname.replace(/\/$/, '');
  return named.origin === own.origin && (own.pathname === path || own.pathname.startsWith(`${path}/`));
};

/**
 * Asks a server who issues its tokens, and which scopes there are.
 * @param metadataUrl - where its last challenge said that this stands
 * @returns undefined where it says nothing
 * @throws {PlatformError} `server_unavailable`; `credential_refused` when it speaks for another resource
 * @see https://www.rfc-editor.org/rfc/rfc9728#section-3
 */
export const describeServer = async (
  { name, url }: Pick<ProtectedServer, 'name' | 'url'>,
  metadataUrl: string | undefined,
  fetch: BackendFetch,
): Promise<ServerDescription | undefined> => {
  for (const place of placesOf(url, metadataUrl)) {
    const response = await fetch(place, { headers: { accept: 'application/json' } }).catch((cause: unknown) => {
      throw new PlatformError('server_unavailable', `The MCP server ${name} cannot be asked who issues its tokens; try again.`, { cause });
    });
    if (response.status >= 500)
      throw new PlatformError('server_unavailable', `The MCP server ${name} does not say who issues its tokens (HTTP ${response.status}).`);
    const read = response.status === 200 ? MetadataSchema.safeParse(await readJson(response)) : undefined;
    if (read?.success !== true) continue;
    const { resource, authorization_servers: issuers, scopes_supported: scopes } = read.data;
    if (!isOf(resource, url))
      throw new PlatformError(
        'credential_refused',
        `The MCP server ${name} describes tokens for ${resource}, which it is not: none is sent.`,
      );
    const { dpop_signing_alg_values_supported: algorithms, dpop_bound_access_tokens_required: isRequired } = read.data;
    return { resource, issuers, scopes, proofs: { algorithms, isRequired } };
  }
  return undefined;
};
