import type { MiddlewareHandler } from 'hono';
import { PlatformError } from '../../schema/errors.ts';
import { findPersonByToken } from '../../store/people.ts';
import type { ApiDependencies, ApiEnvironment, ApiProfile } from './api-dependencies.ts';

/**
 * Finds the person behind the bearer token (RFC 6750 §2.1), anew for each request, so a revoked token ends at once.
 * @throws {PlatformError} `not_authenticated`, `token_refused`
 */
export const authenticate = (
  { database, clock }: Pick<ApiDependencies, 'database' | 'clock'>,
  profile: ApiProfile,
): MiddlewareHandler<ApiEnvironment> => {
  return async (context, next) => {
    const token = /^Bearer +([^\s]{16,512})$/i.exec(context.req.header('authorization') ?? '')?.[1];
    if (token === undefined)
      throw new PlatformError(
        'not_authenticated',
        'The request has no bearer token; the ready file of the platform has one for each person.',
      );
    const person = await findPersonByToken(database, token, clock());
    // the installation's own token is for machines of one's own, never for production (design §10)
    if (!person || (profile === 'production' && person.stamp === 'admin-token'))
      throw new PlatformError('token_refused', 'The token is not known here, has expired, or its person is disabled.');
    context.set('person', person);
    await next();
  };
};
