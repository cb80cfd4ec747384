import { decodeJwt } from 'jose';
import {
  AuthorizationResponseError,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  calculatePKCECodeChallenge,
  randomPKCECodeVerifier,
  randomState,
} from 'openid-client';
import { CliError } from '../output/cli-error.ts';
import { exitCodes } from '../output/exit-codes.ts';
import type { Login } from './credentials.ts';
import { findApiResource } from './find-resources.ts';
import { openIssuer } from './issuer-client.ts';
import { openLoopback } from './loopback-answer.ts';

const failure = (error: unknown): CliError => {
  if (error instanceof CliError) return error;
  if (error instanceof AuthorizationResponseError && error.error === 'access_denied')
    return new CliError('You did not let the command line act for you', { code: 'not_permitted', exitCode: exitCodes.denied });
  const code = (error as { error?: unknown } | null)?.error;
  if (code === 'invalid_target')
    return new CliError('A resource is none of this platform', {
      code: 'input_invalid',
      next: 'give --resource the URL of a toolset, such as URL/mcp/NAME',
    });
  return new CliError('The issuer did not log you in', { code: 'not_authenticated', cause: error, next: 'run the command again' });
};

/**
 * Logs a person in by their browser: authorization code with PKCE, the answer on a loopback port (RFC 8252).
 * @param options.url - origin of the gateway
 * @param options.issuer - where to log in, when the platform names several; it has to be one of them
 * @param options.resources - for which tokens may be asked beside the api, the tools and the models
 * @param options.show - shows the person the address, or opens it
 * @throws {CliError}
 */
export const logIn = async ({
  url,
  issuer,
  resources,
  waitMs,
  show,
}: {
  url: string;
  issuer?: string | undefined;
  resources: readonly string[];
  waitMs: number;
  show(address: string): void;
}): Promise<Login> => {
  const { apiResource, issuers } = await findApiResource(url);
  const chosen = issuer ?? issuers[0] ?? '';
  // credentials go to an issuer that the platform itself names, and to no other
  if (!issuers.includes(chosen))
    throw new CliError(`${chosen} issues no tokens for the platform at ${url}`, { next: `give --issuer ${issuers.join(' or ')}` });
  const configuration = await openIssuer(chosen);
  const wanted = [...new Set([apiResource, `${url}/mcp`, `${url}/v1`, ...resources])];
  const [state, verifier] = [randomState(), randomPKCECodeVerifier()];
  const loopback = await openLoopback({ state, waitMs });
  try {
    const parameters = new URLSearchParams({
      redirect_uri: loopback.redirectUri,
      scope: 'api mcp models',
      state,
      code_challenge: await calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
    for (const resource of wanted) parameters.append('resource', resource);
    show(buildAuthorizationUrl(configuration, parameters).href);
    const answer = await loopback.answer;
    const tokens = await authorizationCodeGrant(
      configuration,
      answer,
      { expectedState: state, pkceCodeVerifier: verifier },
      { resource: apiResource },
    );
    const { access_token: accessToken, refresh_token: refreshToken, expires_in: expiresIn = 60 } = tokens;
    if (refreshToken === undefined) throw new CliError('The issuer gave no refresh token', { code: 'not_authenticated' });
    return {
      url,
      issuer: chosen,
      account: decodeJwt(accessToken).sub ?? '',
      apiResource,
      resources: wanted,
      refreshToken,
      tokens: { [apiResource]: { accessToken, expiresAt: Date.now() + expiresIn * 1000 } },
    };
  } catch (error) {
    throw failure(error);
  } finally {
    loopback.close();
  }
};
