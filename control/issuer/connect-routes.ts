import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import type { GrantStore } from '../../store/backend-grants.ts';
import type { Database } from '../../store/database.ts';
import { findIssuerRecord, putIssuerRecord } from '../../store/issuer-records.ts';
import { findPerson } from '../../store/people.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { GrantBeginning } from './begin-grant.ts';
import { departurePage, grantPage } from './connect-pages.ts';
import { connectCallbackPath, connectClientMetadata, connectClientPath, connectPath, readConnectPath } from './connect-urls.ts';
import type { GrantEnd } from './finish-grant.ts';
import { LoginFailed } from './login-failed.ts';
import type { Context, Middleware } from './middleware.ts';
import { answer, redirect } from './page-answer.ts';
import { choosePage, messagePage } from './pages.ts';
import { lifetimes } from './people-config.ts';
import { findProtectedServer, isOfKind, type OfKind } from './protected-server.ts';
import { readForm } from './read-form.ts';
import type { UpstreamLogin } from './upstream-login.ts';

const sessionModel = 'ConnectSession';
const loginPrefix = 'connect:';
const scopePattern = /^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+){0,63}$/;

/**
 * The pages on which a person connects an MCP server: log in, agree, go to its authorization server, come back. Nobody is sent there who has
 * not agreed here first; the agreement is on record, and bound to the browser it was given in.
 */
export const connectRoutes = ({
  database,
  store,
  login,
  beginning,
  finish,
  cookieKey,
  issuerUrl,
  logger,
}: {
  database: Database;
  store: GrantStore;
  login: UpstreamLogin;
  beginning: GrantBeginning;
  finish: GrantEnd;
  cookieKey: string;
  issuerUrl: string;
  logger: Logger;
}) => {
  const isSecure = issuerUrl.startsWith('https:');
  // a `__Host-` cookie is of this host alone, and no other one may set it
  const sessionCookie = `${isSecure ? '__Host-' : ''}quarterdeck_connect`;
  const cookieText = (name: string, value: string, sameSite: 'Lax' | 'Strict', path = '/'): string =>
    `${name}=${value}; Path=${path}; Max-Age=${lifetimes.interaction}; HttpOnly; SameSite=${sameSite}${isSecure ? '; Secure' : ''}`;
  const cookieOf = (context: Context) => (name: string) => context.cookies.get(name, { signed: false });
  /** Where a page is, with what it was asked for. */
  const placeOf = (context: Context): string => {
    const scope = new URLSearchParams(context.querystring).get('scope') ?? '';
    return scopePattern.test(scope) ? `${context.path}?scope=${encodeURIComponent(scope)}` : context.path;
  };
  const scopesOf = (place: string): string[] => (new URL(place, issuerUrl).searchParams.get('scope') ?? '').split(' ').filter(Boolean);
  const formToken = (session: string, place: string): string =>
    createHmac('sha256', cookieKey).update(`connect/${session}/${place}`).digest('base64url');

  const sessionIn = async (context: Context): Promise<{ value: string; account: string } | undefined> => {
    const value = cookieOf(context)(sessionCookie);
    const found = value === undefined ? undefined : await findIssuerRecord(database, sessionModel, { value });
    return value !== undefined && typeof found?.account === 'string' ? { value, account: found.account } : undefined;
  };

  const serverAt = async (context: Context, account: string): Promise<OfKind<'userGrant'>> => {
    const name = readConnectPath(context.path);
    const [org = '', id = ''] = account.split('/');
    const person = await findPerson(database, org, id);
    const server = name && name.org === org && person && !person.disabled ? await findProtectedServer(database, name) : undefined;
    if (!server || !isOfKind(server, 'userGrant'))
      throw new PlatformError('not_found', 'There is no such server to connect, or not for you.');
    return server;
  };

  const startLogin = async (context: Context): Promise<void> => {
    const place = placeOf(context);
    const providers = await login.providers();
    const chosen = new URLSearchParams(context.querystring).get('at') ?? (providers.length === 1 ? providers[0]?.key : undefined);
    if (chosen === undefined) {
      const link = (key: string): string => `${place}${place.includes('?') ? '&' : '?'}at=${encodeURIComponent(key)}`;
      if (providers.length === 0)
        return answer(context, 503, messagePage('Nobody can log in yet', 'No IdentityProvider is declared here.'));
      return answer(context, 200, choosePage(providers.map(({ key, title }) => ({ title, href: link(key) }))));
    }
    const { url, cookieName, cookie } = await login.begin(chosen, `${loginPrefix}${place}`, { anew: false });
    context.set('set-cookie', cookieText(cookieName, cookie, 'Lax', '/login/callback'));
    redirect(context, url);
  };

  const show = async (context: Context): Promise<void> => {
    const session = await sessionIn(context);
    if (!session) return startLogin(context);
    const server = await serverAt(context, session.account);
    const place = placeOf(context);
    const { found, scopes } = await beginning.plan(server, scopesOf(place));
    const { org, project, name } = server;
    const known = await store.find({ org, project, server: name, personId: session.account.slice(org.length + 1) });
    const { issuer } = found.metadata;
    const facts = { server: name, serverUrl: server.url, issuer, person: session.account, scopes, earlierIssuer: known?.issuer };
    const html = grantPage({ ...facts, action: place, token: formToken(session.value, place) });
    answer(context, 200, html);
  };

  const take = async (context: Context): Promise<void> => {
    const [form, session] = [await readForm(context.req), await sessionIn(context)];
    const place = placeOf(context);
    const given = Buffer.from(form.get('token') ?? '');
    const expected = Buffer.from(session ? formToken(session.value, place) : '');
    const isOwn = context.get('origin') === issuerUrl && given.length === expected.length && timingSafeEqual(given, expected);
    if (!session || !isOwn)
      return answer(context, 403, messagePage('That was not your answer', 'The form did not come from this page. Begin again.'));
    if (form.get('answer') !== 'allow') return answer(context, 200, messagePage('Not connected', 'Nothing was granted.'));
    const plan = await beginning.plan(await serverAt(context, session.account), scopesOf(place));
    const { url, cookieName, cookie } = await beginning.begin(plan, session.account);
    // it comes back from another site, by a link
    context.set('set-cookie', cookieText(cookieName, cookie, 'Lax'));
    // not a redirect of the form: browsers hold those to `form-action`, and the issuer may send the person on to anywhere
    answer(context, 200, departurePage(new URL(url).origin, url));
  };

  const end = async (context: Context): Promise<void> => {
    const { name, account } = await finish(new URL(`${issuerUrl}${connectCallbackPath}?${context.querystring}`), cookieOf(context));
    logger.info({ event: 'server-connected', account, server: name }, 'a person connected a server');
    answer(context, 200, messagePage(`${name} is connected`, 'Go back to where you came from, and make the call again.'));
  };

  const route = async (context: Context): Promise<void> => {
    if (context.path === connectClientPath) {
      const clientId = `${issuerUrl}${connectClientPath}`;
      context.body = { client_id: clientId, ...connectClientMetadata(issuerUrl), token_endpoint_auth_method: 'none' };
      return;
    }
    if (context.path === connectCallbackPath) return end(context);
    if (context.method === 'POST') return take(context);
    return show(context);
  };

  const middleware: Middleware = async (context, next) => {
    if (!context.path.startsWith(`${connectPath}/`)) return next();
    try {
      await route(context);
    } catch (error) {
      if (error instanceof LoginFailed) {
        logger.warn({ event: 'connect-failed', detail: error.detail }, 'a server was not connected');
        return answer(context, 400, messagePage('Not connected', error.message));
      }
      if (!isPlatformError(error)) logger.error({ event: 'connect-broke', err: error }, 'connecting a server broke');
      const [status, message] = isPlatformError(error)
        ? ([error.status, error.detail] as const)
        : ([500, 'The log of Quarterdeck has the cause. Try again.'] as const);
      answer(context, status, messagePage('Not connected', message));
    }
  };

  /** A login that began at one of these pages: the browser is that person's from now on, for ten minutes. */
  const onLogin = async (context: Context, interaction: string, account: string): Promise<boolean> => {
    if (!interaction.startsWith(loginPrefix)) return false;
    const value = randomBytes(32).toString('base64url');
    await putIssuerRecord(database, sessionModel, value, { account }, lifetimes.interaction);
    context.set('set-cookie', cookieText(sessionCookie, value, 'Lax'));
    redirect(context, interaction.slice(loginPrefix.length));
    return true;
  };

  return { middleware, onLogin };
};
