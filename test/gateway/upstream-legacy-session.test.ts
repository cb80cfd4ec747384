import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { KeptSession, SessionAtServer } from '../../gateway/upstream/kept-session.ts';
import { createLegacySession } from '../../gateway/upstream/legacy-session.ts';
import { createHttpSender } from '../../gateway/upstream/send-http.ts';
import { startRawMcpServer } from '../support/raw-mcp-server.ts';
import { toolCall } from '../support/upstream-harness.ts';

/** Keeps a session as the database does: not at once. */
const startKeeping = (): KeptSession => {
  let row: SessionAtServer | undefined;
  return {
    find: async () => row,
    keep: async (session) => {
      row ??= session;
      return row;
    },
    lose: async (id) => {
      await delay(20);
      if (row?.id === id) row = undefined;
    },
  };
};

test('requests that a server sends back together, since it has forgotten their session, all go out in the same next one', async () => {
  const known = new Set<string>();
  let begun = 0;
  const server = await startRawMcpServer({
    initialize: (_message, { response }) => {
      begun += 1;
      known.add(`session-${begun}`);
      response.setHeader('mcp-session-id', `session-${begun}`);
      return { result: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'raw', version: '1' } } };
    },
    'tools/call': (_message, { request, response }) => {
      if (known.has(String(request.headers['mcp-session-id']))) return { result: { content: [] } };
      response.writeHead(404).end();
    },
  });
  const url = new URL(server.url);
  const sender = createHttpSender(url.origin, { connectTimeoutMs: 1000 });
  const session = createLegacySession({
    wire: { name: 'raw', url, sender, headers: [], isOurHost: false },
    client: { capabilities: {} },
    openTimeoutMs: 5000,
    kept: startKeeping(),
    hasLogging: () => false,
    onOther: () => undefined,
    onContradiction: () => undefined,
    onForgotten: () => undefined,
  });
  const call = () => session.send(toolCall('act'));
  try {
    await call();
    known.clear();
    const done = { kind: 'result', result: { content: [] } };
    expect(await Promise.all([call(), call(), call()])).toEqual([done, done, done]);
    expect(begun).toBe(2);
  } finally {
    await session.close();
    await sender.close();
    await server.close();
  }
});
