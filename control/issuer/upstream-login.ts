import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import {
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  type Configuration,
  calculatePKCECodeChallenge,
  discovery,
  fetchUserInfo,
  None,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
} from 'openid-client';
import { z } from 'zod';
import type { Database } from '../../store/database.ts';
import { consumeIssuerRecord, findIssuerRecord, putIssuerRecord } from '../../store/issuer-records.ts';
import { recordLogin } from '../../store/record-login.ts';
import type { KeepAssertion } from './keep-assertion.ts';
import { lifetimes, type PeopleConfig } from './people-config.ts';
import { readLogin } from './read-login.ts';
import { listProviders, type UpstreamProvider } from './upstream-providers.ts';
import { namesAtCompany } from './wanted-login.ts';

const model = 'UpstreamLogin';
const configurationMaxAgeMs = 300_000;
const answerWithinSeconds = 10;

/** A login that did not come about. `detail` is for the log: what a foreign issuer says is not shown to people (RFC 9207 §2.4). */
export class LoginFailed extends Error {
  readonly detail: string;
  constructor(message: string, detail: unknown) {
    super(message);
    this.detail = detail instanceof Error ? `${detail.name}: ${detail.message}` : String(detail);
  }
}

/** What is remembered of a login under way, under its `state`. */
const AttemptSchema = z.object({
  interaction: z.string(),
  provider: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  /** SHA-256 of the cookie of the browser that began it. */
  browser: z.string(),
  /** Whether they were to log in anew, and since when that would be, in seconds since the epoch. */
  anew: z.boolean(),
  begunAt: z.int(),
});

const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest();

/** One cookie for each login under way, so that two tabs do not disturb each other. */
export const attemptCookieName = (state: string, isSecure: boolean): string =>
  `${isSecure ? '__Host-' : ''}quarterdeck_login_${digestOf(state).toString('hex').slice(0, 12)}`;

const nowSeconds = (): number => Math.floor(Date.now() / 1000);
const clockSkewSeconds = 60;
/** How old a login is taken to be whose issuer does not say: too old for whatever asks for a fresh one. */
const unsaidAgeSeconds = 3600;

const TimeSchema = z.object({ auth_time: z.int().optional(), acr: z.string().min(1).max(256).optional().catch(undefined) });

/**
 * When the person has shown who they are, as their issuer says: never what we would like it to be.
 * @returns undefined where they were to log in anew and did not, or nobody says so
 */
const timeOf = (
  idToken: object,
  { anew, begunAt }: { anew: boolean; begunAt: number },
): { ts: number; acr: string | undefined } | undefined => {
  const read = TimeSchema.safeParse(idToken);
  if (!read.success) return undefined;
  const { auth_time: at, acr } = read.data;
  const now = nowSeconds();
  if (at !== undefined && at > now + clockSkewSeconds) return undefined;
  if (anew && (at === undefined || at < begunAt - clockSkewSeconds)) return undefined;
  return { ts: Math.min(at ?? now - unsaidAgeSeconds, now), acr };
};

/**
 * Logs people in at their company's issuer (authorization code with PKCE, state and nonce; the answer has to name its issuer where that
 * promises to, RFC 9207).
 */
export const createUpstreamLogin = ({
  database,
  issuerUrl,
  people,
  keepAssertion,
}: {
  database: Database;
  issuerUrl: string;
  people: PeopleConfig;
  keepAssertion?: KeepAssertion | undefined;
}) => {
  const callbackUrl = `${issuerUrl}/login/callback`;
  const isSecure = issuerUrl.startsWith('https:');
  const configurations = new Map<string, { version: string; until: number; configuration: Promise<Configuration> }>();

  const discover = async ({ spec, clientSecret }: UpstreamProvider): Promise<Configuration> => {
    const secret = await clientSecret();
    const isPlain = new URL(spec.issuer).protocol === 'http:'; // declared for this machine alone
    return discovery(new URL(spec.issuer), spec.clientId, secret, secret === undefined ? None() : undefined, {
      timeout: answerWithinSeconds,
      ...(isPlain ? { execute: [allowInsecureRequests] } : {}),
    });
  };

  const configurationOf = (provider: UpstreamProvider): Promise<Configuration> => {
    const known = configurations.get(provider.key);
    if (known && known.version === provider.version && known.until > Date.now()) return known.configuration;
    const configuration = discover(provider);
    configurations.set(provider.key, { version: provider.version, until: Date.now() + configurationMaxAgeMs, configuration });
    configuration.catch(() => configurations.delete(provider.key));
    return configuration;
  };

  const providers = (): Promise<UpstreamProvider[]> => listProviders(database, people);

  /**
   * Begins a login.
   * @param interaction - what waits for it
   * @param options.anew - asks the issuer not to take an earlier login for this one
   * @param options.acrValues - how well the person is to show who they are, by any of these names; none where any login will do
   * @returns where the browser goes, and the cookie that it has to bring back
   */
  const begin = async (
    providerKey: string,
    interaction: string,
    { anew, acrValues = [] }: { anew: boolean; acrValues?: readonly string[] },
  ) => {
    const provider = (await providers()).find(({ key }) => key === providerKey);
    if (provider === undefined) throw new LoginFailed('There is no such place to log in.', 'unknown provider');
    const configuration = await configurationOf(provider).catch((error: unknown) => {
      throw new LoginFailed(`${provider.title} does not answer as a login provider does. Try again, or tell an administrator.`, error);
    });
    const [state, nonce, verifier, cookie] = [
      randomState(),
      randomNonce(),
      randomPKCECodeVerifier(),
      randomBytes(32).toString('base64url'),
    ];
    const attempt: z.infer<typeof AttemptSchema> = {
      interaction,
      provider: providerKey,
      nonce,
      verifier,
      browser: digestOf(cookie).toString('base64url'),
      anew,
      begunAt: nowSeconds(),
    };
    await putIssuerRecord(database, model, state, attempt, lifetimes.interaction);
    const names = namesAtCompany(acrValues, configuration.serverMetadata().acr_values_supported);
    const url = buildAuthorizationUrl(configuration, {
      redirect_uri: callbackUrl,
      scope: provider.spec.scopes.join(' '),
      state,
      nonce,
      code_challenge: await calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      // whoever is asked for a greatest age has to say the age (OpenID Connect Core §2), which approvals go by
      ...(names.length > 0 ? { acr_values: names.join(' ') } : {}),
      ...(anew ? { prompt: 'login', max_age: '0' } : { max_age: String(lifetimes.login) }),
    });
    return { url: url.href, cookieName: attemptCookieName(state, isSecure), cookie };
  };

  /** Takes the attempt that a `state` belongs to: once, and only for the browser that began it. */
  const takeAttempt = async (state: string, cookie: string | undefined) => {
    const failed = (detail: string) => new LoginFailed('This login was not begun here, or is over. Begin again.', detail);
    const found = AttemptSchema.safeParse(await findIssuerRecord(database, model, { value: state }));
    if (!found.success) throw failed('unknown state');
    // somebody else's state: their code would log this person in as them
    if (cookie === undefined || !timingSafeEqual(digestOf(cookie), Buffer.from(found.data.browser, 'base64url')))
      throw failed('the state belongs to another browser');
    if (!(await consumeIssuerRecord(database, model, state))) throw failed('the state was used already');
    return found.data;
  };

  const claimsFrom = async (configuration: Configuration, currentUrl: URL, state: string, attempt: z.infer<typeof AttemptSchema>) => {
    const tokens = await authorizationCodeGrant(configuration, currentUrl, {
      expectedState: state,
      expectedNonce: attempt.nonce,
      pkceCodeVerifier: attempt.verifier,
      idTokenExpected: true,
    });
    const idToken = tokens.claims();
    if (idToken === undefined) throw new Error('there is no ID token');
    const userinfo =
      configuration.serverMetadata().userinfo_endpoint === undefined
        ? {}
        : await fetchUserInfo(configuration, tokens.access_token, idToken.sub);
    return { idToken, claims: { ...userinfo, ...idToken }, tokens };
  };

  /**
   * Ends a login with what the issuer answered.
   * @param currentUrl - as the browser called it, under our own origin
   * @param cookieOf - reads a cookie of that browser
   * @returns the interaction that waited, the account, `org/person`, and since when they are logged in there
   * @throws {LoginFailed}
   */
  const finish = async (currentUrl: URL, cookieOf: (name: string) => string | undefined) => {
    const states = currentUrl.searchParams.getAll('state');
    const state = states[0];
    if (state === undefined || states.length > 1)
      throw new LoginFailed('This login was not begun here, or is over. Begin again.', 'no state');
    const attempt = await takeAttempt(state, cookieOf(attemptCookieName(state, isSecure)));
    const provider = (await providers()).find(({ key }) => key === attempt.provider);
    if (provider === undefined) throw new LoginFailed('The place you logged in at is not trusted any more.', 'provider gone');
    const refused = (detail: unknown) => new LoginFailed(`${provider.title} did not confirm who you are. Begin again.`, detail);
    const { idToken, claims, tokens } = await configurationOf(provider)
      .then((configuration) => claimsFrom(configuration, currentUrl, state, attempt))
      .catch((error: unknown) => {
        throw refused(error);
      });
    const { clientId, audiences } = provider.spec;
    const foreign = [idToken.aud].flat().find((audience) => audience !== clientId && !audiences.includes(audience));
    if (foreign !== undefined) throw refused('the ID token names an audience that is not allowed');
    const read = readLogin(provider.org, provider.spec, claims);
    if (!read.ok) throw refused(read.reason);
    const time = timeOf(idToken, attempt);
    if (time === undefined) throw refused('it does not say that the person has logged in anew');
    const id = await recordLogin(database, read.login);
    await keepAssertion?.({
      provider: provider.key,
      issuer: idToken.iss,
      personId: id,
      idToken: tokens.id_token ?? '',
      refreshToken: tokens.refresh_token,
      expiresAt: new Date(idToken.exp * 1000),
    });
    return { interaction: attempt.interaction, account: `${provider.org}/${id}`, key: provider.key, ...time };
  };

  return { providers, begin, finish };
};
export type UpstreamLogin = ReturnType<typeof createUpstreamLogin>;
