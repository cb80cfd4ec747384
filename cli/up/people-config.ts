import { createHmac } from 'node:crypto';
import type { DevIdpConfig } from '../../control/dev-idp/dev-idp-config.ts';
import type { PeopleConfig } from '../../control/issuer/people-config.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { deviceCodeKeyOf } from '../../store/secrets/seal.ts';
import type { DataFolder } from './data-folder.ts';
import type { Keys } from './keys.ts';
import type { PlatformOptions } from './platform-options.ts';
import type { Ports } from './ports.ts';
import { addressesOf } from './ready-file.ts';
import { devIdpUrl, issuerUrlOf } from './seed.ts';

const clientId = 'quarterdeck';

const deriveFrom =
  ({ internal }: Keys) =>
  (purpose: string): string =>
    createHmac('sha256', internal.personTokens).update(purpose).digest('base64url');

/** What the cookies of the issuer are signed with. */
export const cookieKeyOf = (keys: Keys): string => deriveFrom(keys)('cookies of the issuer');

/** How people log in on this platform: at the providers that are declared, and outside production at that of this machine too. */
export const peopleConfigs = ({
  folder,
  ports,
  keys,
  options: { profile, config, allowClientRegistration },
}: {
  folder: DataFolder;
  ports: Ports;
  keys: Keys;
  options: PlatformOptions;
}): { people: PeopleConfig; devIdp?: DevIdpConfig } => {
  const derive = deriveFrom(keys);
  const client = { id: clientId, secret: derive('client of the login provider'), redirectUri: `${issuerUrlOf(ports)}/login/callback` };
  const issuerUrl = devIdpUrl(ports);
  const cookieKey = cookieKeyOf(keys);
  const people: PeopleConfig = {
    apiResource: `${addressesOf(ports).apiUrl}/api`,
    cookieKey,
    deviceCodeKey: deviceCodeKeyOf(keys.issuerKey, cookieKey),
    allowsRegistration: allowClientRegistration ?? false,
    allowsLoopbackClients: profile === 'dev',
    secrets: { environment: config.environment, privateDirectory: folder.root, privatePaths: config.privatePaths },
  };
  if (profile === 'production') return { people };
  return {
    people: { ...people, devProvider: { org: defaultTenancy.org, issuer: issuerUrl, clientId, clientSecret: client.secret } },
    devIdp: { address: '127.0.0.1', port: ports['dev-idp'], issuerUrl, client, cookieKey: derive('cookies of the login provider') },
  };
};
