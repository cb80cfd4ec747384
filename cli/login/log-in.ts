import {
  authorizationCodeGrant,
  buildAuthorizationUrl,
  calculatePKCECodeChallenge,
  randomPKCECodeVerifier,
  randomState,
} from 'openid-client';
import type { Login } from './credentials.ts';
import { openLoopback } from './loopback-answer.ts';
import { type LoginWish, loginFailure, loginFrom, loginScope, prepareLogin } from './prepare-login.ts';

/**
 * Logs a person in by their browser: authorization code with PKCE, the answer on a loopback port (RFC 8252).
 * @param options.isFresh - whether they have to show anew who they are, whatever login their browser has
 * @param options.acr - how well they have to show it, e.g. `2` for two things
 * @param options.show - shows the person the address, or opens it
 * @throws {CliError}
 */
export const logIn = async ({
  isFresh,
  acr,
  waitMs,
  show,
  ...wish
}: LoginWish & { isFresh: boolean; acr?: string | undefined; waitMs: number; show(address: string): void }): Promise<Login> => {
  const plan = await prepareLogin(wish);
  const [state, verifier] = [randomState(), randomPKCECodeVerifier()];
  const loopback = await openLoopback({ state, waitMs });
  try {
    const parameters = new URLSearchParams({
      redirect_uri: loopback.redirectUri,
      scope: acr === undefined ? loginScope : `openid ${loginScope}`, // issuers take `acr_values` of OpenID Connect alone
      state,
      code_challenge: await calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      ...(isFresh ? { prompt: 'login' } : {}),
      ...(acr === undefined ? {} : { acr_values: acr }),
    });
    for (const resource of plan.resources) parameters.append('resource', resource);
    show(buildAuthorizationUrl(plan.configuration, parameters).href);
    const checks = { expectedState: state, pkceCodeVerifier: verifier };
    return loginFrom(plan, await authorizationCodeGrant(plan.configuration, await loopback.answer, checks, { resource: plan.apiResource }));
  } catch (error) {
    throw loginFailure(error);
  } finally {
    loopback.close();
  }
};
