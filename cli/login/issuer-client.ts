import { allowInsecureRequests, type Configuration, discovery, None } from 'openid-client';
import { commandLineClientId } from '../../control/issuer/people-config.ts';
import { CliError } from '../output/cli-error.ts';

const answerWithinSeconds = 15;
const loopbackNames = ['127.0.0.1', 'localhost', '[::1]'];

/**
 * Reads what an issuer says of itself (RFC 8414): it has to name itself as it was asked for, and offer PKCE by S256.
 * @throws {CliError}
 */
export const openIssuer = async (issuer: string): Promise<Configuration> => {
  const url = new URL(issuer);
  const isPlain = url.protocol === 'http:';
  if (isPlain && !loopbackNames.includes(url.hostname))
    throw new CliError(`The issuer ${issuer} is not reached by https, so nobody logs in there`, { code: 'input_invalid' });
  try {
    const configuration = await discovery(url, commandLineClientId, undefined, None(), {
      algorithm: 'oauth2',
      timeout: answerWithinSeconds,
      ...(isPlain ? { execute: [allowInsecureRequests] } : {}),
    });
    if (!configuration.serverMetadata().supportsPKCE('S256')) throw new Error('it does not offer PKCE by S256');
    return configuration;
  } catch (cause) {
    throw new CliError(`The issuer ${issuer} does not answer as one`, { code: 'server_unavailable', isAway: true, cause });
  }
};
