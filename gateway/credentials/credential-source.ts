import type { BackendCredential, CredentialRequest } from '../../schema/backend-credential.ts';
import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import type { Challenge } from '../../schema/token-challenge.ts';
import type { AskForCredential } from './credential-client.ts';
import { createProofSigner, type SignProof } from './proof-signer.ts';

/** A credential is not begun to be used so shortly before its end. */
const marginMs = 5_000;
/** From this part of its life on the next one is fetched, while it is still in use. */
const renewAt = 0.75;
/** For how long a refusal stands: whoever asks meanwhile gets the same, and nobody is asked. */
const refusalMs = 1_000;
/** A refusal says something for so long: servers are looked at again within half a minute, and callers come again or do not. */
const refusedForMs = 120_000;
/** What a server wants and does not take is not asked for again for so long. */
const hopelessMs = 30_000;
const mostRefusals = 100;

/** `sign` where it is bound to a key: then each request carries a proof. */
export type Credential = Pick<BackendCredential, 'header' | 'value'> & { sign?: SignProof };

/** What a server showed of how it takes tokens that are bound to a key. All its callers come to the same door. */
export type Door = {
  /** The one that it gave last; the next proof names it. */
  nonce: string | undefined;
  /** False once it wanted the scheme Bearer: then it does not know proofs, and takes such a token as any other (RFC 9449 §7.2). */
  takesProofs: boolean;
};

/** The credential of one caller at one server. */
export type CredentialSource = {
  /** The one there is, at once. */
  current(): Credential | undefined;
  /** The one there is, or a new one. @throws {PlatformError} `grant_needed`, `credential_refused`, `server_drifted`, `server_unavailable`, … */
  fresh(): Promise<Credential>;
  /** Another one, after the server did not take `used`. Whoever comes with an older one gets the one that came after it. */
  renew(used: Credential, challenge: Challenge): Promise<Credential>;
  /** Says that the server does not take what can be had. */
  giveUp(challenge: Challenge): PlatformError;
  /** The server answered a request with it; `status` 401 means that it was not taken, whether or not the server said so by a challenge. */
  answered(status: number): void;
  /** Why there is none that the server takes, as it was last; undefined where it takes what it is sent, or where that was long ago. */
  refusedFor(): string | undefined;
  /** Another one, whatever there is and whatever was refused before. @throws {PlatformError} as `fresh` */
  replace(): Promise<void>;
  door: Door;
  usedAt: number;
};

type Held = Credential & { renewsAt: number; endsAt: number };

/** What stands behind the scheme. */
export const tokenIn = (value: string): string => value.slice(value.indexOf(' ') + 1);

const keyOf = ({ isScopeMissing, scopes }: Challenge): string => `${isScopeMissing} ${[...scopes].sort().join(' ')}`;

/**
 * Holds one caller's credential at one server until shortly before its end. However many wait for it, it is asked for once.
 * @param who - names server and caller
 */
export const createCredentialSource = (
  who: Omit<CredentialRequest, 'scopes' | 'isRefused' | 'metadataUrl'>,
  { ask, now, door }: { ask: AskForCredential; now: () => number; door: Door },
): CredentialSource => {
  /** All that the server ever said that it needs: a token with fewer would be refused at the next other call (SEP-835). */
  const scopes = new Set<string>();
  let metadataUrl: string | undefined;
  let held: Held | undefined;
  let asking: Promise<Credential> | undefined;
  let refusal: { error: PlatformError; until: number } | undefined;
  /** What the server wanted and did not take, by what it wanted. */
  const refusals = new Map<string, { error: PlatformError; until: number }>();
  let refusedFor: { why: string; at: number } | undefined;
  const noteRefusal = (why: string): void => {
    refusedFor = { why, at: now() };
  };

  const fetchOne = async (isRefused: boolean): Promise<Credential> => {
    try {
      const { lifetimeMs, header, value, proofKey } = await ask({
        ...who,
        scopes: [...scopes],
        isRefused,
        ...(metadataUrl === undefined ? {} : { metadataUrl }),
      });
      held = {
        ...{ header, value },
        ...(proofKey === undefined ? {} : { sign: createProofSigner(proofKey, tokenIn(value), now) }),
        ...{ renewsAt: now() + lifetimeMs * renewAt, endsAt: now() + lifetimeMs - Math.min(marginMs, lifetimeMs / 4) },
      };
      refusal = undefined;
      return held;
    } catch (error) {
      if (isPlatformError(error)) refusal = { error, until: now() + refusalMs };
      // its issuer refuses as well: what we show ourselves to it with has run out
      if (isPlatformError(error) && error.code === 'credential_refused') noteRefusal(error.detail);
      throw error;
    }
  };
  const askOnce = (isRefused = false): Promise<Credential> => {
    asking ??= fetchOne(isRefused).finally(() => {
      asking = undefined;
    });
    return asking;
  };

  const source: CredentialSource = {
    door,
    usedAt: now(),
    current: () => {
      source.usedAt = now();
      if (!held || held.endsAt <= source.usedAt) return undefined;
      // whoever comes now does not wait for the next one; where it fails, the next who needs it hears why
      if (held.renewsAt <= source.usedAt && !asking && !(refusal && refusal.until > source.usedAt)) askOnce().catch(() => undefined);
      return held;
    },
    fresh: async () => {
      const known = source.current();
      if (known) return known;
      if (refusal && refusal.until > now()) throw refusal.error;
      return askOnce();
    },
    renew: async (used, challenge) => {
      const hopeless = refusals.get(keyOf(challenge));
      if (hopeless && hopeless.until > now()) throw hopeless.error;
      const news = challenge.scopes.filter((scope) => !scopes.has(scope));
      metadataUrl = challenge.metadataUrl ?? metadataUrl;
      // what is under way was asked for without them
      if (asking && news.length > 0) await asking.catch(() => undefined);
      if (held && held.value !== used.value && news.length === 0) return held;
      for (const scope of news) scopes.add(scope);
      // one that lacks a scope is still good for what needs less
      if (!challenge.isScopeMissing) held = undefined;
      try {
        return await askOnce(true);
      } catch (error) {
        for (const scope of news) scopes.delete(scope);
        throw error;
      }
    },
    giveUp: (challenge) => {
      const { isScopeMissing, scopes: wanted } = challenge;
      const what = isScopeMissing
        ? `wants the scopes ${wanted.join(' ') || '(it does not say which)'}, and does not take a token with them`
        : 'does not take the credential that it was sent';
      const error = new PlatformError('credential_refused', `The MCP server ${who.server} ${what}; whoever runs it can say why.`, {
        facts: { wasSent: false },
      });
      if (!isScopeMissing) {
        held = undefined;
        noteRefusal(error.detail);
      }
      if (refusals.size >= mostRefusals) refusals.clear();
      refusals.set(keyOf(challenge), { error, until: now() + hopelessMs });
      return error;
    },
    answered: (status) => {
      if (status === 401) noteRefusal(`The MCP server ${who.server} answers 401 to the credential that it is sent.`);
      // what a server says of a request that it took: it knew who asked
      else if (refusedFor && status < 400) refusedFor = undefined;
    },
    refusedFor: () => (refusedFor && now() - refusedFor.at < refusedForMs ? refusedFor.why : undefined),
    replace: async () => {
      await asking?.catch(() => undefined);
      held = undefined;
      refusal = undefined;
      refusals.clear();
      await askOnce(true);
      // whether it is taken is for the next request to say
      refusedFor = undefined;
    },
  };
  return source;
};
