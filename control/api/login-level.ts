/** Names that issuers have for a login by two things or more (OpenID EAP ACR Values, PAPE, Microsoft's). */
const byTwoThings: ReadonlySet<string> = new Set([
  'phr',
  'phrh',
  'http://schemas.openid.net/pape/policies/2007/06/multi-factor',
  'http://schemas.openid.net/pape/policies/2007/06/multi-factor-physical',
  'http://schemas.microsoft.com/claims/multipleauthn',
  'urn:oasis:names:tc:SAML:2.0:ac:classes:MobileTwoFactorContract',
  'https://refeds.org/profile/mfa',
]);

/**
 * How well a login proved who somebody is, as policies compare it: 0 not at all, 1 by one thing, 2 by two or more. Issuers agree on no names,
 * so a name that is not known counts as one thing, and a plain number as itself, 9 at most.
 * @see https://openid.net/specs/openid-connect-core-1_0.html#IDToken
 */
export const loginLevel = (acr: string | undefined): number => {
  if (acr === undefined) return 1;
  if (/^[0-9]$/.test(acr)) return Number(acr);
  return byTwoThings.has(acr) ? 2 : 1;
};
