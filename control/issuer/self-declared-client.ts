import { isSafeRedirectUri } from '../../schema/redirect-uri.ts';

const personGrants: ReadonlySet<string> = new Set(['authorization_code', 'refresh_token']);

/**
 * Says what is wrong with a client that says itself what it is: by registering (RFC 7591), or by a document at its own address. It may
 * act for people alone: an agent's token is the worker's to ask for, whatever anybody writes among their grant types.
 * @returns undefined when nothing is
 */
export const faultOfClient = ({
  redirectUris,
  grantTypes,
  secret,
}: {
  redirectUris: readonly string[];
  grantTypes: readonly string[];
  secret: unknown;
}): string | undefined => {
  // the only value that would have to be kept as it is: whoever needs a secret is declared, with a reference
  if (secret !== undefined) return 'a client that registers itself is a public one: token_endpoint_auth_method has to be none';
  if (!grantTypes.every((type) => personGrants.has(type))) return 'grant_types are authorization_code and refresh_token';
  return redirectUris.every(isSafeRedirectUri) ? undefined : 'redirect addresses are https, loopback, or an application’s own';
};
