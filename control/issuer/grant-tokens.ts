import type { TokenEndpointResponse } from 'openid-client';
import type { ProofKey } from '../../schema/backend-credential.ts';
import type { GrantTokens } from '../../store/backend-grants.ts';

/**
 * What is kept of an answer of a token endpoint.
 * @param before.refreshToken - stays the one to use, where the answer has no new one
 * @param before.proofKey - that the tokens were asked to be bound to
 */
export const grantTokens = (
  { access_token: accessToken, refresh_token: renewed, token_type: type }: TokenEndpointResponse,
  { refreshToken, proofKey }: { refreshToken?: string; proofKey?: ProofKey | undefined },
): GrantTokens => {
  const next = renewed ?? refreshToken;
  return {
    accessToken,
    ...(next === undefined ? {} : { refreshToken: next }),
    ...(proofKey === undefined ? {} : { proofKey, isBound: type.toLowerCase() === 'dpop' }),
  };
};
