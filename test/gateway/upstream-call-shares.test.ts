import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCallShares } from '../../gateway/upstream/call-shares.ts';
import { pollUntil } from '../support/poll-until.ts';
import { startRawMcpServer } from '../support/raw-mcp-server.ts';
import { callerNamed, startUpstreamHarness, toolCall, type UpstreamHarness } from '../support/upstream-harness.ts';

describe('the share of a principal', () => {
  /** As many calls as somebody gets who begins one after another. */
  const take = (shares: ReturnType<typeof createCallShares>, principal: string, others: number): number => {
    let own = 0;
    for (; shares.hasRoom(principal, others + own); own += 1) shares.begin(principal);
    return own;
  };

  test('is half of what others leave, so that nobody can take the last connections from everybody', () => {
    const shares = createCallShares(64);
    const taken: number[] = [];
    for (const each of ['a', 'b', 'c', 'd', 'e'])
      taken.push(
        take(
          shares,
          each,
          taken.reduce((sum, calls) => sum + calls, 0),
        ),
      );
    expect(taken).toEqual([32, 16, 8, 8, 8]);
  });

  test('is free again with the end of each call', () => {
    const shares = createCallShares(64);
    take(shares, 'a', 0);
    expect(shares.hasRoom('a', 32)).toBe(false);
    shares.end('a');
    expect(shares.hasRoom('a', 31)).toBe(true);
  });
});

describe('calls of one principal that hang', () => {
  let harness: UpstreamHarness;
  beforeAll(async () => {
    harness = await startUpstreamHarness();
  });
  afterAll(() => harness.close());

  test('take half of a server’s connections; the next is refused at once, whatever its session, and others are served', async () => {
    const hanging: (() => void)[] = [];
    const server = await startRawMcpServer({
      'tools/call': ({ params }) => {
        const done = { result: { content: [{ type: 'text', text: 'done' }] } };
        const slow = JSON.stringify(params).includes('slow');
        return slow ? new Promise((resolve) => hanging.push(() => resolve(done))) : done;
      },
    });
    const pool = harness.startPool();
    const declared = await harness.declare('shared', { url: server.url });
    const mallory = callerNamed('mallory');
    const connection = await pool.connect(declared, mallory);
    const slow = Array.from({ length: 300 }, () =>
      connection.request(toolCall('act', { slow: true })).catch((error: { code: string }) => error.code),
    );
    await pollUntil(() => hanging.length === 256 || undefined, 'the slow calls');
    expect((await Promise.all(slow.slice(256))).every((code) => code === 'calls_exhausted')).toBe(true);
    const again = await pool.connect(declared, { ...mallory, sessionKey: 'another session of the same' });
    expect(() => again.assertRoom()).toThrow(expect.objectContaining({ code: 'calls_exhausted', isRetryable: true }));
    await expect(again.request(toolCall('act'))).rejects.toMatchObject({ facts: { wasSent: false, retryInMs: 1000 } });
    expect(pool.healthOf(declared)).toBe('closed');
    // what follows on a call is none of its own
    expect((await again.request({ ...toolCall('act'), method: 'tasks/cancel' })).kind).toBe('error');

    const others = await pool.connect(declared, callerNamed('ada'));
    const replies = await Promise.all(Array.from({ length: 20 }, () => others.request(toolCall('act'))));
    expect(replies.every(({ kind }) => kind === 'result')).toBe(true);
    for (const finish of hanging) finish();
    await Promise.all(slow);
    expect((await again.request(toolCall('act'))).kind).toBe('result');
    await server.close();
  });
});
