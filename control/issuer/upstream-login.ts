import {
  authorizationCodeGrant,
  buildAuthorizationUrl,
  type Configuration,
  calculatePKCECodeChallenge,
  fetchUserInfo,
} from 'openid-client';
import type { Database } from '../../store/database.ts';
import { recordLogin } from '../../store/record-login.ts';
import type { KeepAssertion } from './keep-assertion.ts';
import { attemptCookieName, createLoginAttempts, type LoginAttempt } from './login-attempts.ts';
import { LoginFailed } from './login-failed.ts';
import { loginTime } from './login-time.ts';
import { lifetimes, type PeopleConfig } from './people-config.ts';
import { readLogin } from './read-login.ts';
import { createUpstreamConfigurations } from './upstream-configurations.ts';
import { listProviders, type UpstreamProvider } from './upstream-providers.ts';
import { namesAtCompany } from './wanted-login.ts';

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
  const attempts = createLoginAttempts(database);
  const configurationOf = createUpstreamConfigurations();
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
    const { state, nonce, verifier, cookie } = await attempts.begin({ interaction, provider: providerKey, anew });
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

  const claimsFrom = async (configuration: Configuration, currentUrl: URL, state: string, attempt: LoginAttempt) => {
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
    const attempt = await attempts.take(state, cookieOf(attemptCookieName(state, isSecure)));
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
    const time = loginTime(idToken, attempt);
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
