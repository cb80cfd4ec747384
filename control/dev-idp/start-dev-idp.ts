import { once } from 'node:events';
import { createServer } from 'node:http';
import { isIP } from 'node:net';
import type { Provider } from 'oidc-provider';
import { PlatformError } from '../../schema/errors.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { createDevProvider } from './create-dev-provider.ts';
import type { DevIdpConfig, DevPeople } from './dev-idp-config.ts';
import { loginHeaders, loginPage } from './login-page.ts';
import { readLoginForm } from './read-login-form.ts';

type Middleware = Parameters<Provider['use']>[0];

const closeGraceMs = 1_000;
/** A wrong password costs this much, so that guessing gets nowhere. */
const wrongAnswerMs = 500;

const isLoopback = (address: string): boolean => address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));

/** It knows people by the installation's own tokens, without a second factor or a limit for each: good behind a loopback address alone. */
const checkAddress = ({ address, issuerUrl }: DevIdpConfig): void => {
  const { hostname, protocol } = new URL(issuerUrl);
  const named = hostname.replace(/^\[|\]$/g, '');
  if (isLoopback(address) && protocol === 'http:' && (isLoopback(named) || named === 'localhost')) return;
  throw new PlatformError(
    'input_invalid',
    `The login provider of one machine does not start on ${address} as ${issuerUrl}, which others can reach: declare an IdentityProvider instead.`,
  );
};

const loginRoute = (provider: Provider, { issuerUrl }: DevIdpConfig, people: DevPeople): Middleware => {
  const { host, origin } = new URL(issuerUrl);
  return async (context, next) => {
    if (context.req.headers.host?.toLowerCase() !== host) {
      context.status = 403;
      context.body = { error: 'invalid_request', error_description: 'This host name is not served here.' };
      return;
    }
    const uid = /^\/interaction\/([\w-]+)$/.exec(context.path)?.[1];
    if (uid === undefined) return next();
    context.set(loginHeaders);
    const interaction = await provider.interactionDetails(context.req, context.res).catch(() => undefined);
    if (interaction?.uid !== uid) {
      context.status = 400;
      context.body = 'This login is over. Begin again.';
      return;
    }
    const isPost = context.method === 'POST' && (context.get('origin') || origin) === origin;
    const form = isPost ? await readLoginForm(context.req) : undefined;
    const person = form && (await people.check(form.person, form.password));
    if (!person) {
      if (isPost) await new Promise((resolve) => setTimeout(resolve, wrongAnswerMs));
      context.status = isPost ? 401 : 200;
      context.body = loginPage(uid, isPost);
      return;
    }
    context.status = 303;
    context.set('location', await provider.interactionResult(context.req, context.res, { login: { accountId: person.id } }));
    context.body = '';
  };
};

/**
 * Starts the login provider of one machine: an OpenID provider that knows the people of the installation and no others. To the issuer it
 * is a company's provider like any other.
 * @returns `close`
 * @throws {PlatformError} `input_invalid` for an address that is not of this machine alone; `port_taken`
 */
export const startDevIdp = async (
  config: DevIdpConfig,
  { people, logger }: { people: DevPeople; logger: Logger },
): Promise<{ close(): Promise<void> }> => {
  checkAddress(config);
  const provider = createDevProvider(config, people);
  provider.use(loginRoute(provider, config, people));
  provider.on('server_error', (_context, error) => logger.error({ event: 'dev-idp-failed', err: error }, 'the login provider failed'));
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 15_000 }, provider.callback());
  server.listen(config.port, config.address);
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new PlatformError('port_taken', `The login provider cannot listen on ${config.address}:${config.port}; choose another port.`, {
      cause,
    });
  }
  return {
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeIdleConnections();
      const force = setTimeout(() => server.closeAllConnections(), closeGraceMs);
      await closed;
      clearTimeout(force);
    },
  };
};
