import type { MiddlewareHandler } from 'hono';
import { PlatformError } from '../../schema/errors.ts';
import { findPersonByToken } from '../../store/people.ts';
import type { ApiConfig, ApiDependencies, ApiEnvironment } from './api-dependencies.ts';
import { createPersonTokenVerifier, isAccessToken } from './verify-person-token.ts';

/** The api as a protected resource: the audience of its tokens. */
export const apiResourceOf = (publicUrl: string): string => `${publicUrl}/api`;

/**
 * Finds the person behind the bearer token (RFC 6750 §2.1), anew for each request, so a revoked token ends at once: an access token of a
 * login, or a token of the installation.
 * @throws {PlatformError} `not_authenticated`, `token_refused`, `scope_insufficient`, `server_unavailable`
 */
export const authenticate = (
  { database, clock }: Pick<ApiDependencies, 'database' | 'clock'>,
  { profile, publicUrl, issuer }: Pick<ApiConfig, 'profile' | 'publicUrl' | 'issuer'>,
): MiddlewareHandler<ApiEnvironment> => {
  const verify = issuer && createPersonTokenVerifier({ database, issuer, audience: apiResourceOf(publicUrl), clock });
  return async (context, next) => {
    const token = /^Bearer +([^\s]{16,4096})$/i.exec(context.req.header('authorization') ?? '')?.[1];
    if (token === undefined)
      throw new PlatformError(
        'not_authenticated',
        'The request has no bearer token; `quarterdeck login` gets one, and the ready file of a platform on this machine has one for each person.',
      );
    if (verify && isAccessToken(token)) {
      context.set('person', await verify(token));
      return next();
    }
    const person = await findPersonByToken(database, token, clock());
    // the installation's own token is for machines of one's own, never for production (design §10)
    if (!person || (profile === 'production' && person.stamp === 'admin-token'))
      throw new PlatformError('token_refused', 'The token is not known here, has expired, or its person is disabled.');
    context.set('person', person);
    await next();
  };
};
