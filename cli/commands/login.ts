import { Command } from 'commander';
import { readConfig } from '../config.ts';
import { findGatewayUrl } from '../connect/find-gateway.ts';
import { credentialsPath, findLogin, keepLogin } from '../login/credentials.ts';
import { withCredentialsLock } from '../login/credentials-lock.ts';
import { logIn } from '../login/log-in.ts';
import { logInByDevice } from '../login/log-in-by-device.ts';
import { openBrowser } from '../login/open-browser.ts';
import { usageError } from '../output/cli-error.ts';
import { withExamples } from '../output/command-help.ts';
import { print, say } from '../output/talk.ts';

type Options = {
  data?: string;
  issuer?: string;
  resource: string[];
  browser: boolean;
  wait: string;
  device?: boolean;
  fresh?: boolean;
  acr?: string;
};

const collect = (value: string, earlier: string[]): string[] => {
  if (!URL.canParse(value)) throw usageError(`--resource ${value} is not a URL; expected one such as http://127.0.0.1:7420/mcp/NAME`);
  return [...earlier, value];
};

const login = async ({ data, issuer, resource, browser, wait, device = false, fresh = false, acr }: Options): Promise<void> => {
  const config = readConfig();
  if (!/^[1-9]\d{0,4}$/.test(wait)) throw usageError(`--wait ${wait} is not a number of seconds`);
  if (device && (fresh || acr !== undefined))
    throw usageError('--device goes with neither --fresh nor --acr; log in anew with a browser of this machine');
  if (acr !== undefined && !/^[\x21-\x7e]{1,256}$/.test(acr))
    throw usageError(`--acr ${acr} is not the name of a kind of login, such as 2`);
  if (issuer !== undefined && !URL.canParse(issuer)) throw usageError(`--issuer ${issuer} is not a URL`);
  const url = findGatewayUrl(config, data);
  const earlier = findLogin(config, url)?.resources ?? [];
  const wish = { url, issuer: issuer?.replace(/\/$/, ''), resources: [...earlier, ...resource], waitMs: Number(wait) * 1000 };
  const kept = device
    ? await logInByDevice({
        ...wish,
        show: (address, code) => say(`Open this address in a browser anywhere, and enter the code:\n\n  ${address}\n  ${code}\n`),
      })
    : await logIn({
        ...wish,
        isFresh: fresh,
        acr,
        show: (address) => {
          say(`Log in with your browser:\n\n  ${address}\n`);
          if (browser && process.stderr.isTTY) openBrowser(address);
        },
      });
  await withCredentialsLock(config, async () => keepLogin(config, url, kept));
  print(`logged in as ${kept.account} at ${url}`);
  say(`Kept for you alone in ${credentialsPath(config)}; \`quarterdeck logout\` ends it.`);
};

export const loginCommand = (): Command =>
  withExamples(
    new Command('login')
      .description('Log in with your browser; commands then act as you, with tokens that are each good for one thing and ten minutes')
      .option('--data <dir>', 'data folder of the platform to log in at')
      .option('--issuer <url>', 'where to log in, if the platform names several issuers')
      .option('--resource <url>', 'a toolset that tokens are wanted for, beside everything you may use; may be given again', collect, [])
      .option('--device', 'log in with a browser of another machine, by a code that is shown here')
      .option('--fresh', 'show anew who you are, whatever login your browser has; some approvals ask for it')
      .option('--acr <value>', 'how well to show it, as a refusal says: 2 is by two things, or a name of your issuer')
      .option('--no-browser', 'only show the address')
      .option('--wait <seconds>', 'how long to wait for you', '300')
      .action(login),
    [
      ['quarterdeck login', 'at the platform of this machine, or of QUARTERDECK_URL'],
      ['quarterdeck login --device', 'on a machine without a browser'],
      ['quarterdeck login --fresh', 'before an approval that asks for a login of the last five minutes'],
      ['quarterdeck login --fresh --acr 2', 'before one that asks for a login by two things'],
      ['quarterdeck login --resource http://127.0.0.1:7420/mcp/docs', 'with tokens for one toolset too'],
    ],
  );
