import { allowInsecureRequests, type Configuration, discovery, None } from 'openid-client';
import type { UpstreamProvider } from './upstream-providers.ts';

const configurationMaxAgeMs = 300_000;
const answerWithinSeconds = 10;

/** What companies' issuers say of themselves, asked again every five minutes and where it is declared otherwise. */
export const createUpstreamConfigurations = (): ((provider: UpstreamProvider) => Promise<Configuration>) => {
  const configurations = new Map<string, { version: string; until: number; configuration: Promise<Configuration> }>();

  const discover = async ({ spec, clientSecret }: UpstreamProvider): Promise<Configuration> => {
    const secret = await clientSecret();
    const isPlain = new URL(spec.issuer).protocol === 'http:'; // declared for this machine alone
    return discovery(new URL(spec.issuer), spec.clientId, secret, secret === undefined ? None() : undefined, {
      timeout: answerWithinSeconds,
      ...(isPlain ? { execute: [allowInsecureRequests] } : {}),
    });
  };

  return (provider) => {
    const known = configurations.get(provider.key);
    if (known && known.version === provider.version && known.until > Date.now()) return known.configuration;
    const configuration = discover(provider);
    configurations.set(provider.key, { version: provider.version, until: Date.now() + configurationMaxAgeMs, configuration });
    configuration.catch(() => configurations.delete(provider.key));
    return configuration;
  };
};
