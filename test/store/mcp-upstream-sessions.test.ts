import { sql } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { createUpstreamSessionStore } from '../../store/mcp-upstream-sessions.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
const keys = deriveContentKeys(Buffer.alloc(32, 3).toString('base64'), 'upstream-sessions');
const store = () => createUpstreamSessionStore(database(), keys);
const key = { org: 'default', project: 'default', server: 'files', sessionKey: 'person:default/ada', part: 'a' };
const session = { url: 'https://files.example/mcp', id: 'secret-id', protocolVersion: '2025-11-25' };

test('keeps the session that came first, sealed, for whoever asks', async () => {
  expect(await store().keep(key, session)).toEqual(session);
  expect(await store().keep(key, { ...session, id: 'later' })).toEqual(session);
  expect(await store().find(key)).toEqual(session);
  expect(await store().find({ ...key, part: 'b' })).toBeUndefined();
  const { rows } = await database().execute<{ text: string }>(
    sql`select encode(upstream_session, 'escape') as text from mcp_upstream_sessions`,
  );
  expect(rows[0]?.text).not.toContain('secret-id');
});

test('takes out a session only when no replica has used it for long', async () => {
  expect(await store().removeIdle(key, 60_000)).toBe(false);
  await database().execute(sql`update mcp_upstream_sessions set used_at = now() - interval '5 minutes'`);
  await store().touch(key);
  expect(await store().removeIdle(key, 60_000)).toBe(false);
  await database().execute(sql`update mcp_upstream_sessions set used_at = now() - interval '5 minutes'`);
  expect(await store().removeIdle(key, 60_000)).toBe(true);
});

test('takes out all of one key, and nothing of one that begins like it', async () => {
  await store().keep(key, session);
  await store().keep({ ...key, server: 'mail', part: 'b' }, { instance: 'default/default/mail/x', protocolVersion: '2025-11-25' });
  const other = { ...key, sessionKey: 'person:default/ada2' };
  await store().keep(other, session);
  const removed = await store().removeOfKey(key.sessionKey);
  expect(removed.map(({ server, id, instance }) => [server, id ?? instance]).sort()).toEqual([
    ['files', 'secret-id'],
    ['mail', 'default/default/mail/x'],
  ]);
  expect(await store().find(other)).toEqual(session);
  await store().removeOfServer(other);
  expect(await store().find(other)).toBeUndefined();
});
