import type { Adapter } from 'oidc-provider';

const refuseToStore = async (): Promise<never> => {
  throw new Error('The issuer keeps no state: something tried to store a grant, a session or an opaque token.');
};
const nothing = async (): Promise<undefined> => undefined;

/**
 * The storage of the issuer: none. A JWT access token is never stored, the one client is configuration, and there are no sessions;
 * so memory does not grow with tokens, and a feature that would need storage fails at its first use instead of losing data quietly.
 */
export const createStatelessAdapter = (): Adapter => ({
  upsert: refuseToStore,
  consume: refuseToStore,
  find: nothing,
  findByUid: nothing,
  findByUserCode: nothing,
  destroy: nothing,
  revokeByGrantId: nothing,
});
