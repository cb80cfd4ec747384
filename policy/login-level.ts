/** Names that issuers have for a login by two things or more (OpenID EAP ACR Values, PAPE, Microsoft's). */
export const namesOfTwoThings: readonly string[] = [
  'phr',
  'phrh',
  'http://schemas.openid.net/pape/policies/2007/06/multi-factor',
  'http://schemas.openid.net/pape/policies/2007/06/multi-factor-physical',
  'http://schemas.microsoft.com/claims/multipleauthn',
  'urn:oasis:names:tc:SAML:2.0:ac:classes:MobileTwoFactorContract',
  'https://refeds.org/profile/mfa',
];

/** The level that a name of a login is known to stand for; a plain number is itself. */
export const knownLevel = (acr: string): number | undefined => {
  if (/^[0-9]$/.test(acr)) return Number(acr);
  return namesOfTwoThings.includes(acr) ? 2 : undefined;
};

/**
 * How well a login proved who somebody is, as policies compare it: 0 not at all, 1 by one thing, 2 by two or more. Issuers agree on no names,
 * so a name that is not known counts as one thing, and a plain number as itself, 9 at most.
 * @see https://openid.net/specs/openid-connect-core-1_0.html#IDToken
 */
export const loginLevel = (acr: string | undefined): number => (acr === undefined ? 1 : (knownLevel(acr) ?? 1));
