import { expect, test } from 'vitest';
import type { NewAuditEvent } from '../../schema/audit-event.ts';
import { createRefusalCounter } from '../../store/audit-refusals.ts';

const started = Date.parse('2026-03-01T12:00:10Z');
const counterAt = (clock: { now: number }) => {
  const written: NewAuditEvent[] = [];
  const counter = createRefusalCounter({
    write: (events) => void written.push(...events),
    newDecisionId: () => 'dec',
    now: () => clock.now,
  });
  return { written, ...counter };
};
const refusal = (source: string) => ({ source, door: 'mcp', code: 'token_refused' });

test('refusals are one row for each source and minute', async () => {
  const clock = { now: started };
  const { written, count, close } = counterAt(clock);
  for (let index = 0; index < 5000; index += 1) count(refusal(index % 5 === 0 ? '10.0.0.1' : '10.0.0.2'));
  clock.now += 60_000;
  count(refusal('10.0.0.1'));
  await close();
  expect(written.map(({ facts }) => [facts?.source, facts?.minute, facts?.count])).toEqual([
    ['10.0.0.1', '2026-03-01T12:00:00.000Z', 1000],
    ['10.0.0.2', '2026-03-01T12:00:00.000Z', 4000],
    ['10.0.0.1', '2026-03-01T12:01:00.000Z', 1],
  ]);
  expect(written[0]).toMatchObject({ kind: 'refusal', action: 'authenticate', decision: 'deny', errorCode: 'token_refused' });
});

test('a flood from ever new sources costs a bounded number of rows, and is counted whole', async () => {
  const { written, count, close } = counterAt({ now: started });
  for (let index = 0; index < 50_000; index += 1) count(refusal(`source-${index}`));
  await close();
  expect(written.length).toBeLessThanOrEqual(1001);
  expect(written.reduce((sum, { facts }) => sum + Number(facts?.count), 0)).toBe(50_000);
});
