import { decodeJwt } from 'jose';
import { AuthorizationResponseError, ClientError, type Configuration, ResponseBodyError } from 'openid-client';
import type { BackendCredential, ProofKey } from '../../schema/backend-credential.ts';
import { PlatformError } from '../../schema/errors.ts';
import type { ProtectedServer } from './protected-server.ts';

const usualLifetimeMs = 60_000;
const longestLifetimeMs = 3_600_000;

type WantedToken = {
  scopes: readonly string[];
  audiences?: readonly string[];
  /** The key that it was asked to be bound to. */
  proofKey?: ProofKey | undefined;
  /** The server takes no bearer token. */
  isBound?: boolean;
};
type TokenResponse = { access_token: string; token_type: string; expires_in?: number | undefined; scope?: string | undefined };

const refused = ({ name }: Pick<ProtectedServer, 'name'>, what: string, cause?: unknown): PlatformError =>
  new PlatformError('credential_refused', `There is no token for the MCP server ${name}: ${what}.`, { cause });

/** Error codes of RFC 6749 and its kin are words without secrets; whatever else an issuer says is for nobody (RFC 9207 §2.4). */
const codeOf = (error: unknown): string | undefined => {
  if (!(error instanceof ResponseBodyError || error instanceof AuthorizationResponseError)) return undefined;
  return /^[a-z_]{1,64}$/.test(error.error) ? error.error : undefined;
};

/** What went wrong at a token endpoint, as callers hear it. */
export const tokenFailure = (server: Pick<ProtectedServer, 'name'>, configuration: Configuration, error: unknown): PlatformError => {
  const { issuer } = configuration.serverMetadata();
  const code = codeOf(error);
  if (code !== undefined && code !== 'temporarily_unavailable') return refused(server, `${issuer} answers \`${code}\``, error);
  const isAnswer = error instanceof ClientError && error.code !== 'OAUTH_TIMEOUT' && error.cause !== undefined;
  if (isAnswer) return refused(server, `${issuer} answers something else than a token`, error);
  return new PlatformError('server_unavailable', `The issuer of tokens for the MCP server ${server.name} does not answer; try again.`, {
    cause: error,
  });
};

const audienceOf = (token: string): string[] | undefined => {
  try {
    const { aud } = decodeJwt(token);
    return aud === undefined ? undefined : [aud].flat();
  } catch {
    // an opaque one: what it is for is its issuer's to know
    return undefined;
  }
};

/**
 * Takes a token as what goes along to one server. It may be for less than was asked, never for more or for somebody else.
 * @param wanted.scopes - that were asked for; none: whatever the issuer gives
 * @param wanted.audiences - one of which it is for, where it says so; absent where the issuer is not held to it
 * @throws {PlatformError} `credential_refused`
 */
export const credentialOf = (
  server: Pick<ProtectedServer, 'name'>,
  { access_token: token, token_type: type, expires_in: expiresIn, scope }: TokenResponse,
  { scopes, audiences, proofKey, isBound = false }: WantedToken,
): BackendCredential => {
  const kind = type.toLowerCase();
  if (kind !== 'bearer' && (kind !== 'dpop' || proofKey === undefined))
    throw refused(server, `its issuer gave one of the kind ${type.slice(0, 32)}, which is not known here`);
  if (isBound && kind !== 'dpop') throw refused(server, 'it takes only tokens that are bound to a key, and its issuer gave another one');
  if (!/^[A-Za-z0-9._~+/-]+=*$/.test(token)) throw refused(server, 'its issuer gave one that is no bearer token');
  const broader = scopes.length > 0 && (scope ?? '').split(' ').some((each) => each !== '' && !scopes.includes(each));
  if (broader) throw refused(server, 'its issuer gave one with more scopes than were asked for');
  const named = audiences && audienceOf(token);
  if (named && !named.some((each) => audiences.includes(each))) throw refused(server, 'its issuer gave one for another audience');
  const lifetimeMs = expiresIn === undefined ? usualLifetimeMs : Math.min(expiresIn * 1000, longestLifetimeMs);
  if (kind === 'dpop') return { header: 'authorization', value: `DPoP ${token}`, lifetimeMs, ...(proofKey ? { proofKey } : {}) };
  return { header: 'authorization', value: `Bearer ${token}`, lifetimeMs };
};
