import type { UpstreamSession } from '../../store/mcp-upstream-sessions.ts';
import { endLegacy } from './open-legacy.ts';
import { createHttpSender } from './send-http.ts';

const connectTimeoutMs = 2000;

/** Ends a session at a server by URL that this replica may never have spoken to. */
export const endSessionAt = async (url: URL, { id, protocolVersion }: Pick<UpstreamSession, 'id' | 'protocolVersion'>): Promise<void> => {
  if (id === undefined) return;
  const sender = createHttpSender(url.origin, { connectTimeoutMs });
  try {
    await endLegacy(
      { name: url.href, url, sender, headers: [], isOurHost: false },
      { id, headers: ['mcp-protocol-version', protocolVersion, 'mcp-session-id', id] },
    );
  } finally {
    await sender.close();
  }
};
