/** What a server says of the credential that it was sent. `scopes` are those that the request needs. */
export type Challenge = {
  isScopeMissing: boolean;
  scopes: string[];
  metadataUrl?: string;
  /** In which ways the server takes tokens. */
  schemes: readonly Scheme[];
  /** It wants its own nonce in the proof that goes along (RFC 9449 §9). */
  isNonceMissing: boolean;
};
type Scheme = 'bearer' | 'dpop';

const mostScopes = 64;
const isScope = (text: string): boolean => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(text);

const parameterIn = (challenge: string, name: string): string | undefined => {
  const match = new RegExp(`(?:^|[\\s,])${name}\\s*=\\s*(?:"([^"]*)"|([^\\s,"]+))`, 'i').exec(challenge);
  return match?.[1] ?? match?.[2];
};

/** The challenges of a header by their scheme, each up to the next one's begin; those of other schemes are none of ours. */
const challengesIn = (header: string): { scheme: string; text: string }[] => {
  // what stands in quotes is no scheme, whatever it says
  const bare = header.replace(/"[^"]*"/g, (quoted) => '_'.repeat(quoted.length));
  const starts = [...bare.matchAll(/(?:^|,)\s*([A-Za-z][A-Za-z0-9-]*)(?=\s*(?:,|$)|\s+[^\s=])/g)];
  return starts.map((match, at) => ({ scheme: (match[1] ?? '').toLowerCase(), text: header.slice(match.index, starts[at + 1]?.index) }));
};

const isOurs = (challenge: { scheme: string; text: string }): challenge is { scheme: Scheme; text: string } =>
  challenge.scheme === 'bearer' || challenge.scheme === 'dpop';

/**
 * Reads why a server did not take a credential. Only a challenge of the schemes Bearer and DPoP says that the request stopped at the door; a
 * bare status may come from anybody on the way.
 * @param header - `WWW-Authenticate`
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-3
 * @see https://www.rfc-editor.org/rfc/rfc9449#section-7.1
 */
export const readChallenge = (status: number, header: string | undefined): Challenge | undefined => {
  if ((status !== 401 && status !== 403) || header === undefined) return undefined;
  const challenges = challengesIn(header).filter(isOurs);
  if (challenges.length === 0) return undefined;
  const first = (name: string): string | undefined =>
    challenges.map(({ text }) => parameterIn(text, name)).find((value) => value !== undefined);
  const isScopeMissing = first('error') === 'insufficient_scope';
  if (status === 403 && !isScopeMissing) return undefined;
  const scopes = (first('scope') ?? '').split(' ').filter(isScope).slice(0, mostScopes);
  const metadataUrl = first('resource_metadata');
  const isUrl = metadataUrl !== undefined && /^https?:\/\//i.test(metadataUrl);
  const isNonceMissing = challenges.some(({ scheme, text }) => scheme === 'dpop' && parameterIn(text, 'error') === 'use_dpop_nonce');
  return { isScopeMissing, scopes, schemes: challenges.map(({ scheme }) => scheme), isNonceMissing, ...(isUrl ? { metadataUrl } : {}) };
};
