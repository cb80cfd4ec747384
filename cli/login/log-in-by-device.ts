import { initiateDeviceAuthorization, pollDeviceAuthorizationGrant } from 'openid-client';
import { CliError } from '../output/cli-error.ts';
import { exitCodes } from '../output/exit-codes.ts';
import type { Login } from './credentials.ts';
import { type LoginWish, loginFailure, loginFrom, loginScope, prepareLogin } from './prepare-login.ts';

/**
 * Logs a person in by a browser anywhere else: they enter a code there that is shown here (RFC 8628). For a machine without a browser of
 * theirs, such as one behind a shell.
 * @param options.show - shows the person where to enter which code
 * @throws {CliError}
 */
export const logInByDevice = async ({
  waitMs,
  show,
  ...wish
}: LoginWish & { waitMs: number; show(address: string, code: string): void }): Promise<Login> => {
  const plan = await prepareLogin(wish);
  try {
    const parameters = new URLSearchParams({ scope: loginScope });
    for (const resource of plan.resources) parameters.append('resource', resource);
    const begun = await initiateDeviceAuthorization(plan.configuration, parameters);
    show(begun.verification_uri, begun.user_code);
    const options = { signal: AbortSignal.timeout(Math.min(waitMs, begun.expires_in * 1000)) };
    return loginFrom(plan, await pollDeviceAuthorizationGrant(plan.configuration, begun, { resource: plan.apiResource }, options));
  } catch (error) {
    if (['TimeoutError', 'AbortError'].includes((error as Error).name) || (error as { error?: unknown }).error === 'expired_token')
      throw new CliError('Nobody logged in in time', { exitCode: exitCodes.timeout, next: 'run the command again' });
    throw loginFailure(error);
  }
};
