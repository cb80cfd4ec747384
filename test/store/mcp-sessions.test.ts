import { describe, expect, test } from 'vitest';
import { createMcpAnswerStore } from '../../store/mcp-answers.ts';
import { createMcpSessionStore, type McpSessionRow } from '../../store/mcp-sessions.ts';
import { createMcpSubscriptionStore } from '../../store/mcp-subscriptions.ts';
import { holdInstanceLock } from '../../store/operations.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
const plenty = { perPrincipal: 1000, total: 1000 };
const longAgo = new Date(0);
const row = (id: string, changes: Partial<McpSessionRow> = {}): McpSessionRow => ({
  id,
  org: 'default',
  principal: 'person:default/admin',
  endpoint: '/mcp',
  transport: 'streamable',
  client: { capabilities: {} },
  logLevel: null,
  ...changes,
});

describe('sessions', () => {
  test('are there when the insert resolves, for as long as they are used', async () => {
    const store = createMcpSessionStore(database());
    const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 0, minute));
    expect(await store.insert(row('a', { client: { name: 'x\u0000' } }), plenty, at(0), longAgo)).toBe('stored');
    expect(await store.use('a', at(20), at(-10))).toEqual(row('a', { client: { name: 'x\u0000' } }));
    expect(await store.use('a', at(60), at(30))).toBeUndefined();
    expect(await store.use('b', at(0), at(-10))).toBeUndefined();
    expect(await store.touch(['a', 'b'], at(25), at(10))).toEqual(new Set(['a']));
    await store.change('a', { logLevel: 'error' });
    expect(await store.use('a', at(30), at(20))).toMatchObject({ logLevel: 'error' });
    expect(await store.removeIdle(at(29), 10)).toEqual([]);
    expect(await store.removeIdle(at(30), 10)).toEqual(['a']);
    expect(await store.remove('a')).toBe(false);
  });

  test('are as many as they may be, exactly, though many begin at once at several replicas', async () => {
    const stores = [createMcpSessionStore(database()), createMcpSessionStore(database()), createMcpSessionStore(database())];
    const now = new Date();
    const results = await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        stores[index % 3]?.insert(
          row(`many-${index}`, { principal: `p${index % 2}` }),
          { perPrincipal: 7, total: 12 },
          now,
          new Date(Date.now() - 60_000),
        ),
      ),
    );
    expect(results.filter((result) => result === 'stored')).toHaveLength(12);
    // what nobody has used counts no more
    const later = new Date(Date.now() + 120_000);
    expect(await stores[0]?.insert(row('later'), { perPrincipal: 7, total: 12 }, later, new Date(Date.now() + 60_000))).toBe('stored');
  });
});

describe('subscriptions', () => {
  test('are taken over from replicas that are gone, by one replica', async () => {
    await createMcpSessionStore(database()).insert(row('subscriber'), plenty, new Date(), longAgo);
    const [gone, alive, third] = ['gone', 'alive', 'third'].map((instance) =>
      createMcpSubscriptionStore({ database: database(), instance, most: 2 }),
    );
    const release = await holdInstanceLock(database(), 'alive', () => undefined);
    expect(await gone?.add('subscriber', 'a')).toBe(true);
    expect(await gone?.add('subscriber', 'a')).toBe(true);
    expect(await alive?.add('subscriber', 'b')).toBe(true);
    expect(await alive?.add('subscriber', 'c')).toBe(false);
    const taken = await Promise.all([alive?.takeOver('subscriber'), third?.takeOver('subscriber')]);
    // the third has no lock either, so who comes second may take from it; nobody takes from who lives
    expect(taken.flat()).toContain('a');
    expect(taken.flat()).not.toContain('b');
    await third?.remove('subscriber', 'a');
    expect(await third?.list('subscriber')).toEqual([{ uri: 'b', instance: 'alive' }]);
    expect(await third?.add('no-session', 'a')).toBe(false);
    release();
  });
});

describe('answers', () => {
  test('are sealed, taken once, and the first one counts', async () => {
    const answers = createMcpAnswerStore(database(), deriveContentKeys(Buffer.alloc(32, 1).toString('base64'), 'test'));
    await answers.leave('q', 'first secret');
    await answers.leave('q', 'second');
    const { rows } = await database().execute<{ answer: Buffer }>('select answer from mcp_answers');
    expect(rows[0]?.answer.toString('latin1')).not.toContain('secret');
    const taken = await Promise.all([answers.take(['q', 'r']), answers.take(['q', 'r'])]);
    expect(taken.map((map) => map.get('q')).filter(Boolean)).toEqual(['first secret']);
    await answers.leave('q', 'third');
    await answers.removeOld(new Date(Date.now() + 60_000));
    expect(await answers.take(['q'])).toEqual(new Map());
  });
});
