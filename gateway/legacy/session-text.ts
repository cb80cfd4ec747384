import { type ContentKeys, seal, unseal } from '../../store/secrets/seal.ts';

/** What the client's session id says, to us alone. */
export type SessionClaims = {
  id: string;
  /** Who may use it: `principalName`. */
  principal: string;
  /** Canonical path of the endpoint that it is for. */
  endpoint: string;
  /** Milliseconds since the epoch. */
  expiresAt: number;
};

const context = 'mcp-session';
/** Longer than any text of ours. */
const longest = 2048;

/**
 * Session ids as clients hold them: sealed, so that nobody can make one up, and any replica can read them. Visible ASCII only.
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#session-management
 */
export const createSessionTexts = (keys: ContentKeys) => {
  return {
    keys,
    write: ({ id, principal, endpoint, expiresAt }: SessionClaims): string =>
      seal(keys, Buffer.from(JSON.stringify([id, principal, endpoint, expiresAt])), context).toString('base64url'),
    /** @returns undefined for what is not a text of ours */
    read: (text: string): SessionClaims | undefined => {
      if (text.length > longest) return undefined;
      try {
        const [id, principal, endpoint, expiresAt] = JSON.parse(unseal(keys, Buffer.from(text, 'base64url'), context).toString());
        return { id, principal, endpoint, expiresAt };
      } catch {
        return undefined;
      }
    },
  };
};
export type SessionTexts = ReturnType<typeof createSessionTexts>;
