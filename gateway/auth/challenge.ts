import { proofAlgorithms } from '../../policy/check-token-proof.ts';
import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import type { HttpAnswer } from '../front/http-exchange.ts';
import type { RpcError } from '../mcp/message.ts';

/** Where the metadata of a protected resource stands (RFC 9728 §3.1): the well-known part is put in front of its path. */
export const resourceMetadataUrl = (publicUrl: string, path: string): string => `${publicUrl}/.well-known/oauth-protected-resource${path}`;

/** The metadata itself. @see https://www.rfc-editor.org/rfc/rfc9728#section-2 */
export const resourceMetadata = ({ resource, issuerUrl, scope }: { resource: string; issuerUrl: string; scope: string }) => ({
  resource,
  authorization_servers: [issuerUrl],
  bearer_methods_supported: ['header'],
  scopes_supported: [scope],
  dpop_signing_alg_values_supported: proofAlgorithms,
  resource_name: 'Quarterdeck',
});

/** Error codes of RFC 6750 §3.1, RFC 9449 §7.1 and RFC 9470 §3. */
const challengeErrors: Readonly<Record<string, string>> = {
  token_refused: 'invalid_token',
  scope_insufficient: 'insufficient_scope',
  proof_refused: 'invalid_dpop_proof',
  login_stale: 'insufficient_user_authentication',
};

/** Whether an answer tells the caller which token to bring. */
export const isChallenged = (error: PlatformError): boolean => error.status === 401 || error.code === 'scope_insufficient';

/** The value of `WWW-Authenticate` for a refused, missing or too narrow token (RFC 6750 §3, RFC 9728 §5.1, RFC 9449 §7.1). */
export const challengeFor = (
  error: PlatformError,
  { publicUrl, path, scope }: { publicUrl: string; path: string; scope: string },
): string => {
  const parts = [
    `resource_metadata="${resourceMetadataUrl(publicUrl, path)}"`,
    `scope="${error.code === 'login_stale' ? `openid ${scope}` : scope}"`,
  ];
  const code = challengeErrors[error.code];
  const { acr, maxAgeSeconds } = error.facts;
  if (typeof maxAgeSeconds === 'number') parts.unshift(`max_age="${maxAgeSeconds}"`);
  if (typeof acr === 'number') parts.unshift(`acr_values="${acr}"`);
  if (code) parts.unshift(`error="${code}"`, `error_description="${error.detail.replaceAll(/["\\]/g, "'")}"`);
  return error.code === 'proof_refused' ? `DPoP algs="${proofAlgorithms.join(' ')}", ${parts.join(', ')}` : `Bearer ${parts.join(', ')}`;
};

/** The challenge of a refusal inside JSON-RPC that another login would mend (RFC 9470); undefined for every other error. */
export const challengeOfRpc = (
  { message, data }: RpcError,
  where: { publicUrl: string; path: string; scope: string },
): string | undefined => {
  const { code, ...facts } = (data ?? {}) as PlatformError['facts'];
  return code === 'login_stale' ? challengeFor(new PlatformError('login_stale', message, { facts }), where) : undefined;
};

/** Answers a failed authentication of an MCP endpoint: 401 or 403 with a challenge, or the status of what is not there. */
export const answerUnauthenticated = (
  response: HttpAnswer,
  error: unknown,
  where: { publicUrl: string; path: string; scope: string },
): void => {
  const status = isPlatformError(error) ? error.status : 500;
  const headers: Record<string, string> = { 'content-type': 'application/json', 'cache-control': 'no-store' };
  if (isPlatformError(error) && isChallenged(error)) headers['www-authenticate'] = challengeFor(error, where);
  if (isPlatformError(error) && error.isRetryable) headers['retry-after'] = '2';
  const body = isPlatformError(error)
    ? { error: challengeErrors[error.code] ?? (status === 401 ? 'invalid_token' : error.code), error_description: error.detail }
    : { error: 'internal', error_description: 'The request failed inside Quarterdeck; the log has the cause.' };
  response.writeHead(status, headers).end(JSON.stringify(body));
};
