import { Command } from 'commander';
import { tokenRevocation } from 'openid-client';
import { readConfig } from '../config.ts';
import { findGatewayUrl } from '../connect/find-gateway.ts';
import { findLogin, keepLogin } from '../login/credentials.ts';
import { withCredentialsLock } from '../login/credentials-lock.ts';
import { openIssuer } from '../login/issuer-client.ts';
import { CliError } from '../output/cli-error.ts';
import { withExamples } from '../output/command-help.ts';
import { print } from '../output/talk.ts';

const logout = async ({ data }: { data?: string }): Promise<void> => {
  const config = readConfig();
  const url = findGatewayUrl(config, data);
  await withCredentialsLock(config, async () => {
    const login = findLogin(config, url);
    if (login === undefined) return print(`not logged in at ${url}`);
    keepLogin(config, url, undefined);
    try {
      await tokenRevocation(await openIssuer(login.issuer), login.refreshToken, { token_type_hint: 'refresh_token' });
    } catch (cause) {
      throw new CliError(`Your tokens are gone from this machine, but the issuer ${login.issuer} did not hear of it`, {
        isAway: true,
        cause,
        next: 'they end by themselves within eight hours of the login',
      });
    }
    print(`logged out from ${url}`);
  });
};

export const logoutCommand = (): Command =>
  withExamples(
    new Command('logout')
      .description('End your login: its tokens are refused everywhere within five seconds, and are gone from this machine')
      .option('--data <dir>', 'data folder of the platform')
      .action(logout),
    [['quarterdeck logout', 'at the platform of this machine, or of QUARTERDECK_URL']],
  );
