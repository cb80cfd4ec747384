import { decodeJwt } from 'jose';
import type { Configuration, TokenEndpointResponse } from 'openid-client';
import { CliError } from '../output/cli-error.ts';
import { exitCodes } from '../output/exit-codes.ts';
import type { Login } from './credentials.ts';
import { findApiResource } from './find-resources.ts';
import { openIssuer } from './issuer-client.ts';

export type LoginWish = {
  /** Origin of the gateway. */
  url: string;
  /** Where to log in, when the platform names several; it has to be one of them. */
  issuer?: string | undefined;
  /** For which tokens may be asked beside the api, the tools and the models. */
  resources: readonly string[];
};

/** A login that begins: who is asked, and for what. */
export type LoginPlan = { url: string; issuer: string; configuration: Configuration; apiResource: string; resources: string[] };

/** What every login asks for, whichever way the person comes in. */
export const loginScope = 'api mcp models';

/**
 * Finds out where a person logs in at a platform.
 * @throws {CliError}
 */
export const prepareLogin = async ({ url, issuer, resources }: LoginWish): Promise<LoginPlan> => {
  const { apiResource, issuers } = await findApiResource(url);
  const chosen = issuer ?? issuers[0] ?? '';
  // credentials go to an issuer that the platform itself names, and to no other
  if (!issuers.includes(chosen))
    throw new CliError(`${chosen} issues no tokens for the platform at ${url}`, { next: `give --issuer ${issuers.join(' or ')}` });
  const configuration = await openIssuer(chosen);
  const wanted = [...new Set([apiResource, `${url}/mcp`, `${url}/v1`, ...resources])];
  return { url, issuer: chosen, configuration, apiResource, resources: wanted };
};

/** What is kept of a login that came about. */
export const loginFrom = ({ url, issuer, apiResource, resources }: LoginPlan, tokens: TokenEndpointResponse): Login => {
  const { access_token: accessToken, refresh_token: refreshToken, expires_in: expiresIn = 60 } = tokens;
  if (refreshToken === undefined) throw new CliError('The issuer gave no refresh token', { code: 'not_authenticated' });
  const token = { accessToken, expiresAt: Date.now() + expiresIn * 1000 };
  return { url, issuer, account: decodeJwt(accessToken).sub ?? '', apiResource, resources, refreshToken, tokens: { [apiResource]: token } };
};

/** Says what became of a login that did not come about. */
export const loginFailure = (error: unknown): CliError => {
  if (error instanceof CliError) return error;
  const code = (error as { error?: unknown } | null)?.error;
  if (code === 'access_denied')
    return new CliError('You did not let the command line act for you', { code: 'not_permitted', exitCode: exitCodes.denied });
  if (code === 'unmet_authentication_requirements')
    return new CliError(`Your login was not strong enough: ${(error as { error_description?: string }).error_description ?? code}`, {
      code: 'login_stale',
      exitCode: exitCodes.denied,
      next: 'log in with your second factor, or ask an administrator whether the issuer names it in `acr`',
    });
  if (code === 'invalid_target')
    return new CliError('A resource is none of this platform', {
      code: 'input_invalid',
      next: 'give --resource the URL of a toolset, such as URL/mcp/NAME',
    });
  return new CliError('The issuer did not log you in', { code: 'not_authenticated', cause: error, next: 'run the command again' });
};
