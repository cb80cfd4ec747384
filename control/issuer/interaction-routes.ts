import { errors, type Provider } from 'oidc-provider';
import { z } from 'zod';
import { isPlatformError } from '../../schema/errors.ts';
import type { Database } from '../../store/database.ts';
import { consumeIssuerRecord, findIssuerRecord, putIssuerRecord } from '../../store/issuer-records.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { consentRoutes } from './consent-routes.ts';
import type { EntryRecords } from './entry-records.ts';
import { LoginFailed } from './login-failed.ts';
import type { Context, Interaction, Middleware } from './middleware.ts';
import { answer, redirect } from './page-answer.ts';
import { choosePage, messagePage } from './pages.ts';
import { lifetimes, type PeopleConfig } from './people-config.ts';
import type { UpstreamLogin } from './upstream-login.ts';
import { meetsWanted, wantedAcrValues } from './wanted-login.ts';

const outcomeModel = 'UpstreamOutcome';
/** Who came back from a login, since when they are logged in there (seconds since the epoch), and how well by that issuer's scale. */
const OutcomeSchema = z.object({ account: z.string(), ts: z.int(), acr: z.string().optional() });

/**
 * The pages between a client's request and its answer: which login provider, the way there and back, and whether the client may act for
 * the person. Everything is bound to the browser that began it, by cookies of the library's own and of ours.
 */
export const interactionRoutes = ({
  provider,
  database,
  login,
  people,
  issuerUrl,
  records,
  logger,
  onOtherLogin,
}: {
  provider: Provider;
  database: Database;
  login: UpstreamLogin;
  people: PeopleConfig;
  issuerUrl: string;
  records: EntryRecords | undefined;
  logger: Logger;
  /** Takes logins that began elsewhere than at a client. @returns whether it was one */
  onOtherLogin?: (context: Context, interaction: string, account: string) => Promise<boolean>;
}): Middleware => {
  const isSecure = issuerUrl.startsWith('https:');

  const resume = async (context: Context, result: Parameters<Provider['interactionResult']>[2]): Promise<void> =>
    redirect(context, await provider.interactionResult(context.req, context.res, result, { mergeWithLastSubmission: true }));
  const { showConsent, takeConsent } = consentRoutes({ provider, issuerUrl, cookieKey: people.cookieKey, resume });

  const startLogin = async (context: Context, interaction: Interaction, key: string): Promise<void> => {
    const { prompt, max_age: maxAge, acr_values } = interaction.params;
    const acrValues = wantedAcrValues(acr_values);
    const anew =
      maxAge !== undefined ||
      acrValues.length > 0 || // a login that is there already is of the kind it was
      String(prompt ?? '')
        .split(' ')
        .includes('login');
    const { url, cookieName, cookie } = await login.begin(key, interaction.uid, { anew, acrValues });
    const age = lifetimes.interaction;
    context.set(
      'set-cookie',
      // no other program of this host can set a cookie of that name where there is https
      `${cookieName}=${cookie}; Path=${isSecure ? '/; Secure' : '/login/callback'}; Max-Age=${age}; HttpOnly; SameSite=Lax`,
    );
    redirect(context, url);
  };

  const showLogin = async (context: Context, interaction: Interaction): Promise<void> => {
    const providers = await login.providers();
    const [only] = providers;
    if (only && providers.length === 1) return startLogin(context, interaction, only.key);
    if (!only)
      return answer(
        context,
        503,
        messagePage('Nobody can log in yet', 'No IdentityProvider is declared here. An administrator applies one; then begin again.'),
      );
    const here = `/interaction/${interaction.uid}/login`;
    answer(context, 200, choosePage(providers.map(({ key, title }) => ({ title, href: `${here}?at=${encodeURIComponent(key)}` }))));
  };

  /** Goes on with the login that came back for this interaction. */
  const takeLogin = async (context: Context, interaction: Interaction): Promise<void> => {
    const chosen = new URLSearchParams(context.querystring).get('at');
    if (chosen !== null) return startLogin(context, interaction, chosen);
    const outcome = await findIssuerRecord(database, outcomeModel, { value: interaction.uid });
    const isFirst = outcome !== undefined && (await consumeIssuerRecord(database, outcomeModel, interaction.uid));
    if (!isFirst) throw new LoginFailed('This login is over. Begin again.', 'no outcome');
    const { account, ts, acr } = OutcomeSchema.parse(outcome);
    const wanted = wantedAcrValues(interaction.params.acr_values);
    if (!meetsWanted(wanted, acr)) {
      logger.warn({ event: 'login-too-weak', account, acr, wanted }, 'a login was weaker than what was asked for');
      // RFC 9470 §5: the client is told, and not given a token that is refused again
      return resume(context, {
        error: 'unmet_authentication_requirements',
        error_description: `a login as strong as ${wanted.join(' or ')} was asked for, and the one at the company was ${acr ?? 'of no stated strength'}`,
      });
    }
    await resume(context, { login: { accountId: account, remember: true, ts, ...(acr === undefined ? {} : { acr }) } });
  };

  const finishLogin = async (context: Context): Promise<void> => {
    // the address as the library of the relying party compares it: ours, whatever the request calls itself
    const currentUrl = new URL(`${issuerUrl}/login/callback?${context.querystring}`);
    const { interaction, account, key, ts, acr } = await login.finish(currentUrl, (name) => context.cookies.get(name, { signed: false }));
    const [org = '', person = ''] = account.split('/');
    await records?.allow({ action: 'logIn', org, person, stamp: 'login', facts: { provider: key } });
    logger.info({ event: 'person-logged-in', account, provider: key }, 'a person logged in');
    if (await onOtherLogin?.(context, interaction, account)) return;
    await putIssuerRecord(database, outcomeModel, interaction, { account, ts, acr }, lifetimes.interaction);
    redirect(context, `/interaction/${interaction}/login`);
  };

  const route = async (context: Context): Promise<void> => {
    if (context.path === '/login/callback' && context.method === 'GET') return finishLogin(context);
    const [, , uid, action = ''] = context.path.split('/');
    const interaction = await provider.interactionDetails(context.req, context.res);
    if (interaction.uid !== uid) throw new errors.SessionNotFound('another interaction');
    const { name } = interaction.prompt;
    if (context.method === 'POST' && action === 'consent') return takeConsent(context, interaction);
    if (context.method === 'GET' && action === 'login' && name === 'login') return takeLogin(context, interaction);
    if (context.method === 'GET' && action === '' && name === 'login') return showLogin(context, interaction);
    if (context.method === 'GET' && action === '' && name === 'consent') return showConsent(context, interaction);
    answer(context, 404, messagePage('There is nothing here', 'Begin again at the client that sent you.'));
  };

  /** What a person is told of a failure; what a foreign issuer said of it goes to the log alone. */
  const describeFailure = async (context: Context, error: unknown): Promise<{ status: number; title: string; message: string }> => {
    if (error instanceof LoginFailed) {
      records?.count(context.req, 'not_authenticated');
      logger.warn({ event: 'login-failed', detail: error.detail }, 'a login failed');
      return { status: 400, title: 'The login failed', message: error.message };
    }
    if (error instanceof errors.SessionNotFound)
      return { status: 400, title: 'This login is over', message: 'It took too long, or began in another browser. Begin again.' };
    if (isPlatformError(error)) {
      const { org, person } = error.facts;
      // a refusal has no effect, so it does not wait for its row to be possible
      if (org !== undefined && person !== undefined)
        await records
          ?.refuse({ action: 'logIn', org: String(org), person: String(person), facts: { reason: 'disabled' } }, error.code)
          .catch((cause: unknown) => logger.warn({ err: cause }, 'a refused login could not be put on record'));
      logger.warn({ event: 'login-refused', code: error.code, detail: error.detail }, 'a login was refused');
      return { status: error.status, title: 'You were not let in', message: error.detail };
    }
    logger.error({ event: 'login-broke', err: error }, 'a login broke');
    return { status: 500, title: 'Something failed inside', message: 'The log of Quarterdeck has the cause. Try again.' };
  };

  return async (context, next) => {
    if (!context.path.startsWith('/interaction/') && context.path !== '/login/callback') return next();
    try {
      await route(context);
    } catch (error) {
      const { status, title, message } = await describeFailure(context, error);
      answer(context, status, messagePage(title, message));
    }
  };
};
