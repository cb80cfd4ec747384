import type { UpstreamSession } from '../../store/mcp-upstream-sessions.ts';
import { createAuthorizedSender } from '../credentials/authorized-sender.ts';
import type { CredentialSource } from '../credentials/credential-source.ts';
import { endLegacy } from './open-legacy.ts';
import { createHttpSender } from './send-http.ts';

const connectTimeoutMs = 2000;

/**
 * Ends a session at a server by URL that this replica may never have spoken to.
 * @param credential - what the server is to be sent, where it is protected
 */
export const endSessionAt = async (
  url: URL,
  { id, protocolVersion }: Pick<UpstreamSession, 'id' | 'protocolVersion'>,
  credential: CredentialSource | undefined,
): Promise<void> => {
  if (id === undefined) return;
  const plain = createHttpSender(url.origin, { connectTimeoutMs });
  const sender = credential ? createAuthorizedSender(plain, credential, { origin: url.origin }) : plain;
  try {
    await endLegacy(
      { name: url.href, url, sender, headers: [], isOurHost: false },
      { id, headers: ['mcp-protocol-version', protocolVersion, 'mcp-session-id', id] },
    );
  } finally {
    await sender.close();
  }
};
