import { ResponseBodyError, refreshTokenGrant } from 'openid-client';
import type { Config } from '../config.ts';
import { CliError } from '../output/cli-error.ts';
import { findLogin, keepLogin, type Login } from './credentials.ts';
import { withCredentialsLock } from './credentials-lock.ts';
import { openIssuer } from './issuer-client.ts';

/** A token that ends sooner is renewed first: what it is used for takes time too. */
const spareMs = 30_000;

const tokenIn = (login: Login, resource: string, refusedToken: string | undefined): string | undefined => {
  const token = login.tokens[resource];
  return token && token.accessToken !== refusedToken && token.expiresAt - spareMs > Date.now() ? token.accessToken : undefined;
};

const loggedOut = (): CliError =>
  new CliError('Your login has ended', { code: 'token_refused', next: 'log in again with `quarterdeck login`' });

const renew = async (config: Config, login: Login, resource: string): Promise<string> => {
  const configuration = await openIssuer(login.issuer);
  const tokens = await refreshTokenGrant(configuration, login.refreshToken, { resource }).catch((cause: unknown) => {
    if (!(cause instanceof ResponseBodyError)) throw new CliError(`The issuer ${login.issuer} does not answer`, { isAway: true, cause });
    if (cause.error === 'invalid_grant') {
      keepLogin(config, login.url, undefined);
      throw loggedOut();
    }
    throw new CliError(`The issuer gives no token for ${resource}`, { code: 'not_permitted', cause });
  });
  const { access_token: accessToken, refresh_token: refreshToken = login.refreshToken, expires_in: expiresIn = 60 } = tokens;
  const token = { accessToken, expiresAt: Date.now() + expiresIn * 1000 };
  keepLogin(config, login.url, { ...login, refreshToken, tokens: { ...login.tokens, [resource]: token } });
  return accessToken;
};

/**
 * Gives a token of the login at a platform that is good for half a minute at least.
 * @param url - origin of the gateway
 * @param resource - what it is for; one of those that were asked for at the login
 * @param refusedToken - one that was refused although its time was not over: it is not given again
 * @throws {CliError} when the login has ended, or was not for this resource
 */
export const freshToken = async (config: Config, url: string, resource: string, refusedToken?: string): Promise<string> => {
  const known = findLogin(config, url);
  if (known === undefined) throw loggedOut();
  if (!known.resources.includes(resource))
    throw new CliError(`You did not log in for ${resource}`, {
      code: 'not_authenticated',
      next: `log in for it too: quarterdeck login --resource ${resource}`,
    });
  const token = tokenIn(known, resource, refusedToken);
  if (token !== undefined) return token;
  return withCredentialsLock(config, async () => {
    // another command may have renewed it meanwhile
    const newest = findLogin(config, url);
    if (newest === undefined) throw loggedOut();
    return tokenIn(newest, resource, refusedToken) ?? (await renew(config, newest, resource));
  });
};
