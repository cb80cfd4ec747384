import { expect, test, vi } from 'vitest';
import { createEgressRecorder } from '../../cli/processes/egress-audit.ts';
import type { Attempt } from '../../runtime/egress/egress-parts.ts';
import type { NewAuditEvent } from '../../schema/audit-event.ts';
import { createLogger } from '../../telemetry/logger.ts';

const logger = createLogger({ name: 'test', level: 'silent' });
const attemptTo = (host: string): Attempt => ({
  decisionId: 'dec_1',
  server: { org: 'acme', project: 'web', server: 'reacher' },
  host,
  port: 443,
  kind: 'tunnel',
});

test('a connection is an intent before and an outcome with its bytes after, in the tenant of its server', async () => {
  const rows: NewAuditEvent[] = [];
  const recorder = createEgressRecorder({ append: async (events) => void rows.push(...events), logger });
  await recorder.opening(attemptTo('api.example.test'));
  const carried = { address: '192.0.2.1', sentBytes: 10, receivedBytes: 20, requests: 1, secrets: ['TOKEN'] };
  recorder.closed(attemptTo('api.example.test'), { ...carried, durationMs: 5 });
  recorder.closed(attemptTo('api.example.test'), { ...carried, durationMs: 5, reason: 'too-many-bytes' });
  await recorder.close();
  expect(rows).toMatchObject([
    { kind: 'intent', org: 'acme', project: 'web', server: 'reacher', action: 'connect', outcome: 'pending', decisionId: 'dec_1' },
    { kind: 'outcome', outcome: 'ok', errorCode: null, facts: { host: 'api.example.test', port: 443, ...carried } },
    { kind: 'outcome', outcome: 'refused', errorCode: 'too-many-bytes' },
  ]);
});

test('what cannot be put on record is not said to be on record', async () => {
  const recorder = createEgressRecorder({ append: () => Promise.reject(new Error('no database')), logger });
  await expect(recorder.opening(attemptTo('api.example.test'))).rejects.toThrow('no database');
});

test('a server that asks for the same place again and again fills one row a minute, and one that asks for ever new ones not many', async () => {
  vi.useFakeTimers();
  try {
    const rows: NewAuditEvent[] = [];
    const recorder = createEgressRecorder({ append: async (events) => void rows.push(...events), logger });
    for (let time = 0; time < 1000; time += 1) recorder.refused(attemptTo('evil.example.test'), 'not-allowed');
    expect(rows).toMatchObject([
      { kind: 'refusal', decision: 'deny', errorCode: 'not-allowed', facts: { host: 'evil.example.test', count: 1 } },
    ]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(rows[1]).toMatchObject({ kind: 'refusal', facts: { host: 'evil.example.test', count: 999 } });
    for (let number = 0; number < 5000; number += 1) recorder.refused(attemptTo(`h${number}.example.test`), 'not-allowed');
    await recorder.close();
    expect(rows.length).toBeLessThan(600);
    expect(rows.at(-1)).toMatchObject({ facts: { host: 'others', count: 4499 } });
  } finally {
    vi.useRealTimers();
  }
});
