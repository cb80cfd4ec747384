import { checkTokenProof, type ProvenRequest } from './check-token-proof.ts';

/** How a token came: with the request that is made now, or with the one that opened a stream which still stands. */
export type TokenCarrier = ProvenRequest | 'standing';

/** An access token as it was sent: `DPoP` says that its sender counts on its key. */
export type SentToken = { token: string; isDpop: boolean };

/** @returns undefined for what is no access token in a header `Authorization` (RFC 6750 §2.1, RFC 9449 §7.1) */
export const readSentToken = (authorization: string | undefined): SentToken | undefined => {
  const match = /^(Bearer|DPoP) +([A-Za-z0-9._~+/-]+=*)$/i.exec(authorization ?? '');
  return match?.[2] === undefined ? undefined : { token: match[2], isDpop: match[1]?.toLowerCase() === 'dpop' };
};

/** Whether there is anything to prove: otherwise it is a bearer token, sent as one. */
export const needsPossession = ({ isDpop }: SentToken, jkt: string | undefined): boolean => isDpop || jkt !== undefined;

export type PossessionDecision = { ok: true } | { ok: false; reason: string };
const no = (reason: string): PossessionDecision => ({ ok: false, reason });

/**
 * Whether whoever brings a token that is bound to a key has that key (RFC 9449 §7): it came as `DPoP`, with a proof that was made for this
 * request and this token by that very key, and was not shown before. A stream that stands was proven when it was opened.
 * @param options.jkt - thumbprint of the key that the token is bound to; absent for a bearer token
 * @param options.carrier - absent where nobody can say how the token came: then nothing is proven
 * @param options.use - uses a proof up, for all replicas; false when it was used before
 */
export const provePossession = async (
  { token, isDpop }: SentToken,
  {
    jkt,
    carrier,
    now,
    use,
  }: {
    jkt: string | undefined;
    carrier: TokenCarrier | undefined;
    now: Date;
    use: (proof: { thumbprint: string; id: string }) => Promise<boolean>;
  },
): Promise<PossessionDecision> => {
  // somebody who counts on the key of a token that has none would believe it to be safe (RFC 9449 §7.1)
  if (jkt === undefined) return no('it is bound to no key, so it is sent as `Bearer`');
  if (!isDpop || carrier === undefined) return no('it is bound to a key, so it is sent as `DPoP`');
  if (carrier === 'standing') return { ok: true };
  const decision = await checkTokenProof(carrier, { token, now });
  if (!decision.ok) return decision;
  if (decision.thumbprint !== jkt) return no('the proof is by another key');
  return (await use(decision)) ? { ok: true } : no('the proof was used before');
};
