/** What a server says of the credential that it was sent. `scopes` are those that the request needs. */
export type Challenge = { isScopeMissing: boolean; scopes: string[]; metadataUrl?: string };

const mostScopes = 64;
const isScope = (text: string): boolean => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(text);

const parameterIn = (challenge: string, name: string): string | undefined => {
  const match = new RegExp(`(?:^|[\\s,])${name}\\s*=\\s*(?:"([^"]*)"|([^\\s,"]+))`, 'i').exec(challenge);
  return match?.[1] ?? match?.[2];
};

/**
 * Reads why a server did not take a credential. Only a challenge of the scheme Bearer says that the request stopped at the door; a bare
 * status may come from anybody on the way.
 * @param header - `WWW-Authenticate`
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-3
 */
export const readChallenge = (status: number, header: string | undefined): Challenge | undefined => {
  if ((status !== 401 && status !== 403) || header === undefined || !/(^|,)\s*bearer(\s|$)/i.test(header)) return undefined;
  const isScopeMissing = parameterIn(header, 'error') === 'insufficient_scope';
  if (status === 403 && !isScopeMissing) return undefined;
  const scopes = (parameterIn(header, 'scope') ?? '').split(' ').filter(isScope).slice(0, mostScopes);
  const metadataUrl = parameterIn(header, 'resource_metadata');
  const isUrl = metadataUrl !== undefined && /^https?:\/\//i.test(metadataUrl);
  return { isScopeMissing, scopes, ...(isUrl ? { metadataUrl } : {}) };
};
