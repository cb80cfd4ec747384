import type { ServerMetadata } from 'openid-client';
import { PlatformError } from '../../schema/errors.ts';
import { type BackendFetch, createBackendFetch } from './backend-fetch.ts';
import { describeServer, type ProofDemand, type ServerDescription } from './describe-server.ts';
import type { GuardedFetch } from './guarded-fetch.ts';
import type { ProtectedServer } from './protected-server.ts';
import { readIssuerMetadata, usualMetadata } from './read-issuer-metadata.ts';

/** How old what a server says of its issuer may be when a secret is sent there on its word. */
const believedMs = 30_000;
const mostKnown = 1000;

/** Who issues the tokens for a server, and what they are for. */
export type Authorization = {
  metadata: ServerMetadata;
  resource: string;
  /** What there is, by the server's own word. */
  scopes: string[];
  proofs: ProofDemand;
  fetch: BackendFetch;
};

const drifted = ({ name }: ProtectedServer, expected: string): PlatformError =>
  new PlatformError(
    'server_drifted',
    `The MCP server ${name} no longer names ${expected} as the issuer of its tokens. Nothing is sent to another one; if the change is meant, change \`spec.auth\`.`,
  );

/**
 * Finds the authorization server of an MCP server. One that is bound to an issuer, by declaration or by a grant, stays bound: when it names
 * another one, that gets nothing (security case 6).
 */
export const createAuthorizationFinder = ({ guardedFetch, clock }: { guardedFetch: GuardedFetch; clock: () => Date }) => {
  const known = new Map<string, { until: number; found: Promise<Authorization> }>();

  const chosen = (server: ProtectedServer, description: ServerDescription | undefined, bound: string | undefined): string => {
    if (bound === undefined) {
      const [first] = description?.issuers ?? [];
      // before RFC 9728 a server was its own authorization server (MCP 2025-03-26)
      return first ?? new URL(server.url).origin;
    }
    if (description && description.issuers.length > 0 && !description.issuers.includes(bound)) throw drifted(server, bound);
    return bound;
  };

  const look = async (server: ProtectedServer, metadataUrl: string | undefined, bound: string | undefined): Promise<Authorization> => {
    const { auth } = server;
    const declared = 'issuer' in auth ? auth.issuer : undefined;
    const fetch = createBackendFetch(guardedFetch, [server.url, declared]);
    const description = await describeServer(server, metadataUrl, fetch);
    const issuer = chosen(server, description, bound);
    const { origin } = new URL(server.url);
    // a secret that is kept goes nowhere by a guess: people look at the page that they are sent to
    const isBefore = description === undefined && issuer === origin && auth.kind === 'userGrant' && auth.client === undefined;
    const metadata = await readIssuerMetadata(issuer, server, fetch, isBefore ? usualMetadata(origin) : undefined);
    const resource = ('resource' in auth ? auth.resource : undefined) ?? description?.resource ?? server.url;
    return { metadata, resource, scopes: description?.scopes ?? [], proofs: description?.proofs ?? { isRequired: false }, fetch };
  };

  /**
   * @param options.bound - the only issuer that will do
   * @param options.isAnew - what is remembered does not count: the server refused what came of it
   * @throws {PlatformError} `server_drifted`, `credential_refused`, `server_unavailable`
   */
  return (
    server: ProtectedServer,
    { bound, metadataUrl, isAnew = false }: { bound?: string | undefined; metadataUrl?: string | undefined; isAnew?: boolean },
  ): Promise<Authorization> => {
    const key = JSON.stringify([server.uid, server.generation, bound, metadataUrl]);
    const now = clock().getTime();
    const before = known.get(key);
    if (before && !isAnew && before.until > now) return before.found;
    if (known.size >= mostKnown) known.clear();
    const found = look(server, metadataUrl, bound);
    known.set(key, { until: now + believedMs, found });
    found.catch(() => known.delete(key));
    return found;
  };
};
export type FindAuthorization = ReturnType<typeof createAuthorizationFinder>;
