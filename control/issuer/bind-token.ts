import { type CryptoKey, exportJWK, importJWK } from 'jose';
import { type Configuration, customFetch, type DPoPHandle, getDPoPHandle, modifyAssertion, randomDPoPKeyPair } from 'openid-client';
import { type ProofKey, ProofKeySchema } from '../../schema/backend-credential.ts';
import type { Authorization } from './create-authorization-finder.ts';

const algorithm = 'ES256';
const mostNonces = 1000;
const longestNonce = 1024;

/** What goes with a request for a token that is bound to a key: nothing, where bearer tokens will do. */
export type Binding = { proofKey?: ProofKey; options: { DPoP?: DPoPHandle } };
export type BindToken = (configuration: Configuration, found: Authorization, known?: ProofKey) => Promise<Binding>;

/**
 * Whether tokens are bound to a key: where the authorization server makes proofs out, or the MCP server takes no others. One that names only
 * algorithms that we do not have gets bearer tokens.
 */
const isBoundAt = ({ metadata, proofs }: Authorization): boolean => {
  if (proofs.isRequired) return true;
  const { dpop_signing_alg_values_supported: made } = metadata;
  return Array.isArray(made) && made.includes(algorithm) && (proofs.algorithms === undefined || proofs.algorithms.includes(algorithm));
};

const pairOf = async ({ d, ...publicPart }: ProofKey) => ({
  privateKey: (await importJWK({ ...publicPart, d }, algorithm)) as CryptoKey,
  publicKey: (await importJWK(publicPart, algorithm, { extractable: true })) as CryptoKey,
});

const newKey = async (): Promise<ProofKey> =>
  ProofKeySchema.parse(await exportJWK((await randomDPoPKeyPair(algorithm, { extractable: true })).privateKey));

/**
 * Makes what asks authorization servers for tokens that are bound to a key (DPoP). The nonce that a server gave last is remembered for all
 * that is asked of it next, whichever key it is about.
 * @see https://www.rfc-editor.org/rfc/rfc9449#section-5
 */
export const createTokenBinder = (): BindToken => {
  const nonces = new Map<string, string>();
  const note = (origin: string, nonce: string | null): void => {
    if (nonce === null || nonce.length > longestNonce) return;
    if (nonces.size >= mostNonces) nonces.clear();
    nonces.set(origin, nonce);
  };

  /** @param known - the key that a grant is bound to already; a new one, where there is none */
  return async (configuration, found, known) => {
    if (known === undefined && !isBoundAt(found)) return { options: {} };
    const proofKey = known ?? (await newKey());
    const send = configuration[customFetch] ?? fetch;
    configuration[customFetch] = async (url, options) => {
      const response = await send(url, options as RequestInit & typeof options);
      note(new URL(url).origin, response.headers.get('dpop-nonce'));
      return response;
    };
    const DPoP = getDPoPHandle(configuration, await pairOf(proofKey), {
      [modifyAssertion]: (_header, payload) => {
        // after a challenge the handle has its own, which is newer
        payload.nonce ??= nonces.get(new URL(String(payload.htu)).origin);
      },
    });
    return { proofKey, options: { DPoP } };
  };
};
