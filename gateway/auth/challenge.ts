import { isPlatformError, type PlatformError } from '../../schema/errors.ts';
import type { HttpAnswer } from '../front/http-exchange.ts';

/** Where the metadata of a protected resource stands (RFC 9728 §3.1): the well-known part is put in front of its path. */
export const resourceMetadataUrl = (publicUrl: string, path: string): string => `${publicUrl}/.well-known/oauth-protected-resource${path}`;

/** The metadata itself. @see https://www.rfc-editor.org/rfc/rfc9728#section-2 */
export const resourceMetadata = ({ resource, issuerUrl, scope }: { resource: string; issuerUrl: string; scope: string }) => ({
  resource,
  authorization_servers: [issuerUrl],
  bearer_methods_supported: ['header'],
  scopes_supported: [scope],
  resource_name: 'Quarterdeck',
});

/** The value of `WWW-Authenticate` for a refused or missing token (RFC 6750 §3, RFC 9728 §5.1). */
export const challengeFor = (
  error: PlatformError,
  { publicUrl, path, scope }: { publicUrl: string; path: string; scope: string },
): string => {
  const parts = [`resource_metadata="${resourceMetadataUrl(publicUrl, path)}"`, `scope="${scope}"`];
  if (error.code === 'token_refused')
    parts.unshift('error="invalid_token"', `error_description="${error.detail.replaceAll(/["\\]/g, "'")}"`);
  return `Bearer ${parts.join(', ')}`;
};

/** Answers a failed authentication of an MCP endpoint: 401 with a challenge, or the status of what is not there. */
export const answerUnauthenticated = (
  response: HttpAnswer,
  error: unknown,
  where: { publicUrl: string; path: string; scope: string },
): void => {
  const status = isPlatformError(error) ? error.status : 500;
  const headers: Record<string, string> = { 'content-type': 'application/json', 'cache-control': 'no-store' };
  if (isPlatformError(error) && status === 401) headers['www-authenticate'] = challengeFor(error, where);
  if (isPlatformError(error) && error.isRetryable) headers['retry-after'] = '2';
  const body = isPlatformError(error)
    ? { error: status === 401 ? 'invalid_token' : error.code, error_description: error.detail }
    : { error: 'internal', error_description: 'The request failed inside Quarterdeck; the log has the cause.' };
  response.writeHead(status, headers).end(JSON.stringify(body));
};
