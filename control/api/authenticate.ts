import type { HttpBindings } from '@hono/node-server';
import type { Context, MiddlewareHandler } from 'hono';
import { readSentToken } from '../../policy/prove-possession.ts';
import { createSourceOf } from '../../policy/source-of-request.ts';
import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import { findPersonByToken } from '../../store/people.ts';
import type { ApiConfig, ApiDependencies, ApiEnvironment } from './api-dependencies.ts';
import { createPersonTokenVerifier, isAccessToken } from './verify-person-token.ts';

/** The api as a protected resource: the audience of its tokens. */
export const apiResourceOf = (publicUrl: string): string => `${publicUrl}/api`;

/** Where requests come from, past the proxies that are trusted; unknown where they do not come over a connection, as in a test. */
export const createContextSource = ({ trustedProxies }: Pick<ApiConfig, 'trustedProxies'>) => {
  const sourceOf = createSourceOf(trustedProxies);
  return (context: Context): string | undefined => {
    const { incoming } = (context.env ?? {}) as Partial<HttpBindings>;
    return incoming && sourceOf(incoming.socket.remoteAddress, incoming.headers);
  };
};

/**
 * Finds the person behind the bearer token (RFC 6750 §2.1), anew for each request, so a revoked token ends at once: an access token of a
 * login, or a token of the installation.
 * @throws {PlatformError} `not_authenticated`, `token_refused`, `proof_refused`, `scope_insufficient`, `server_unavailable`
 */
export const authenticate = (
  {
    database,
    audit,
    unknownCallers,
    clock,
    refusedKeys,
  }: Pick<ApiDependencies, 'database' | 'audit' | 'unknownCallers' | 'clock' | 'refusedKeys'>,
  {
    profile,
    publicUrl,
    gatewayUrl,
    issuer,
    trustedProxies,
  }: Pick<ApiConfig, 'profile' | 'publicUrl' | 'gatewayUrl' | 'issuer' | 'trustedProxies'>,
): MiddlewareHandler<ApiEnvironment> => {
  const sourceOf = createContextSource({ trustedProxies });
  const verify = issuer && createPersonTokenVerifier({ database, issuer, audience: apiResourceOf(publicUrl), clock, refusedKeys });
  return async (context, next) => {
    const refuse = (error: PlatformError): PlatformError => {
      unknownCallers.count({ source: sourceOf(context), door: 'api', code: error.code });
      return error;
    };
    const sent = readSentToken(context.req.header('authorization'));
    if (sent === undefined || sent.token.length < 16 || sent.token.length > 4096)
      throw refuse(
        new PlatformError(
          'not_authenticated',
          'The request has no bearer token; `quarterdeck login` gets one, and the ready file of a platform on this machine has one for each person.',
        ),
      );
    if (verify && isAccessToken(sent.token)) {
      const { path, method } = context.req;
      // the gateway's port hands requests on (design §10), and a proof names the URL that its caller knows
      const urls = [publicUrl, gatewayUrl].map((base) => `${base}${path}`);
      const person = await verify(sent, { proof: context.req.header('dpop'), method, urls }).catch((error: unknown) => {
        // an agent's token too is on record here; an issuer that is away says nothing of who asks
        throw isPlatformError(error) && !error.isRetryable ? refuse(error) : error;
      });
      context.set('person', person);
      return next();
    }
    // what the installation gives out is bound to no key
    const person = sent.isDpop ? undefined : await findPersonByToken(database, sent.token, clock());
    // the installation's own token is for machines of one's own, never for production (design §10)
    if (!person || (profile === 'production' && person.stamp === 'admin-token'))
      throw refuse(new PlatformError('token_refused', 'The token is not known here, has expired, or its person is disabled.'));
    // asked for here, where no transaction is open: what the person does is recorded inside one
    if (audit.people.known(person) === undefined) await audit.people.pseudonymOf(person);
    // the two people of the profile `dev` are there to play stories of two people with, and their tokens stand for logins
    context.set('person', profile === 'dev' ? { ...person, authTime: Math.floor(clock().getTime() / 1000) } : person);
    await next();
  };
};
