import type { IncomingMessage } from 'node:http';
import { errors } from 'oidc-provider';
import { checkTokenProof, usedProofSeconds } from '../../policy/check-token-proof.ts';
import type { Database } from '../../store/database.ts';
import { useTokenProof } from '../../store/use-token-proof.ts';

type Client = { dpopBoundAccessTokens?: boolean | undefined };

/**
 * Makes what finds the key that a client without a login proves at the token endpoint (RFC 9449 §5): what it gets is bound to that key.
 * @returns the thumbprint of the key; undefined for a client that sends no proof, and gets a bearer token
 * @throws {OIDCProviderError} `invalid_dpop_proof`: also where a client that declared that its tokens are bound sends none
 */
export const createKeyProof =
  ({ database, issuerUrl, clock }: { database: Database; issuerUrl: string; clock: () => Date }) =>
  async ({ headers: { dpop } }: Pick<IncomingMessage, 'headers'>, client?: Client): Promise<string | undefined> => {
    if (dpop === undefined && client?.dpopBoundAccessTokens !== true) return undefined;
    const request = { proof: typeof dpop === 'string' ? dpop : undefined, method: 'POST', urls: [`${issuerUrl}/token`] };
    const decision = await checkTokenProof(request, { now: clock() });
    if (!decision.ok) throw new errors.InvalidDpopProof(decision.reason);
    if (!(await useTokenProof(database, 'issuer', decision, usedProofSeconds)))
      throw new errors.InvalidDpopProof('the proof was used before');
    return decision.thumbprint;
  };
export type KeyProof = ReturnType<typeof createKeyProof>;
