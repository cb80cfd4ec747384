import { createHmac, timingSafeEqual } from 'node:crypto';
import { errors, type Provider } from 'oidc-provider';
import { isLoopbackName } from '../../schema/redirect-uri.ts';
import type { Context, Interaction } from './middleware.ts';
import { answer, redirect } from './page-answer.ts';
import { type ConsentFacts, consentPage, messagePage } from './pages.ts';
import { commandLineClientId, lifetimes, remainingOfLogin } from './people-config.ts';
import { readForm } from './read-form.ts';

/** Where a form may lead beyond us, as a source of a content security policy. */
const formTargetOf = (redirectUri: string): string => {
  const { protocol, origin } = new URL(redirectUri);
  return origin === 'null' ? protocol : origin;
};

type Details = { missingOIDCScope?: string[]; missingResourceScopes?: Record<string, string[]> };

/** The page on which a person says whether a client may act for them, and what becomes of the answer. @param cookieKey - seals the form */
export const consentRoutes = ({
  provider,
  issuerUrl,
  cookieKey,
  resume,
}: {
  provider: Provider;
  issuerUrl: string;
  cookieKey: string;
  resume: (context: Context, result: Parameters<Provider['interactionResult']>[2]) => Promise<void>;
}) => {
  const tokenOf = (uid: string): string => createHmac('sha256', cookieKey).update(`consent/${uid}`).digest('base64url');

  const consentFacts = async (interaction: Interaction): Promise<ConsentFacts> => {
    const clientId = String(interaction.params.client_id);
    const redirectUri = interaction.deviceCode === undefined ? String(interaction.params.redirect_uri) : undefined;
    const client = await provider.Client.find(clientId);
    const { missingResourceScopes = {} } = interaction.prompt.details as Details;
    const asked = [interaction.params.resource ?? []].flat().map(String);
    const wants = asked.map((resource) => {
      const scopes = missingResourceScopes[resource]?.join(', ') ?? 'what you allowed before';
      return `${resource} (${scopes})`;
    });
    return {
      clientId,
      clientName: client?.clientName ?? clientId,
      person: interaction.session?.accountId ?? '',
      redirectUri,
      wants: wants.length > 0 ? wants : ['your name here'],
      isLocal: redirectUri !== undefined && (isLoopbackName(new URL(redirectUri).hostname) || new URL(redirectUri).origin === 'null'),
      isSelfDeclared: clientId !== commandLineClientId && !/^[a-z0-9-]+\/[a-z0-9-]+\/[a-z0-9-]+$/.test(clientId),
      action: `/interaction/${interaction.uid}/consent`,
      token: tokenOf(interaction.uid),
    };
  };

  const showConsent = async (context: Context, interaction: Interaction): Promise<void> => {
    const facts = await consentFacts(interaction);
    answer(context, 200, consentPage(facts), facts.redirectUri === undefined ? [] : [formTargetOf(facts.redirectUri)]);
  };

  const takeConsent = async (context: Context, interaction: Interaction): Promise<void> => {
    const form = await readForm(context.req);
    const given = Buffer.from(form.get('token') ?? '');
    const expected = Buffer.from(tokenOf(interaction.uid));
    // a page at another port of this host is the same site to a browser, so its cookies come along; Origin and the token do not
    const isOwn =
      (context.get('origin') || issuerUrl) === issuerUrl && given.length === expected.length && timingSafeEqual(given, expected);
    if (!isOwn || interaction.prompt.name !== 'consent')
      return answer(context, 403, messagePage('That was not your answer', 'The form did not come from this page. Begin again.'));
    if (form.get('answer') !== 'allow') {
      const refusal = { error: 'access_denied', error_description: 'the person said no' };
      return redirect(context, await provider.interactionResult(context.req, context.res, refusal, { mergeWithLastSubmission: false }));
    }
    const { missingOIDCScope, missingResourceScopes = {} } = interaction.prompt.details as Details;
    const accountId = interaction.session?.accountId;
    if (accountId === undefined) throw new errors.SessionNotFound('nobody is logged in');
    const known = interaction.grantId === undefined ? undefined : await provider.Grant.find(interaction.grantId);
    const uid = interaction.session?.uid;
    const session = uid === undefined ? undefined : await provider.Session.findByUid(uid);
    // a client that is allowed late in a login ends with it all the same; the library takes a lifetime, which its types do not say
    const expiresIn = remainingOfLogin(session?.loginTs, lifetimes.login);
    const begun = { accountId, clientId: String(interaction.params.client_id), expiresIn };
    const grant = known ?? new provider.Grant(begun);
    if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
    for (const [resource, scopes] of Object.entries(missingResourceScopes)) grant.addResourceScope(resource, scopes.join(' '));
    await resume(context, { consent: { grantId: await grant.save() } });
  };

  return { showConsent, takeConsent };
};
