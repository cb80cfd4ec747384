import { expect, test } from 'vitest';
import type { NewAuditEvent } from '../../schema/audit-event.ts';
import { createCallMetrics } from '../../telemetry/call-metrics.ts';
import { createMetrics } from '../../telemetry/process-metrics.ts';

const event = (changes: Partial<NewAuditEvent>): NewAuditEvent => ({
  kind: 'call',
  org: 'default',
  project: 'default',
  action: 'callTool',
  decision: 'allow',
  decisionId: 'dec_1',
  outcome: 'ok',
  durationMs: 3,
  ...changes,
});
const seriesOf = (text: string, name: string): string[] => text.split('\n').filter((line) => line.startsWith(`${name}{`));

test('an effect is counted once, by its outcome, and a change of resources is no call', async () => {
  const metrics = createMetrics({ process: 'test' });
  const take = createCallMetrics(metrics);
  const act = { server: 'files', tool: 'write' };
  take(event({ ...act, kind: 'intent', outcome: 'pending' }));
  take(event({ ...act, kind: 'outcome' }));
  take(event({ kind: 'change', action: 'applyResource' }));
  const calls = seriesOf(await metrics.metrics(), 'quarterdeck_calls_total');
  expect(calls).toEqual([expect.stringMatching(/tool="write".*outcome="ok".* 1$/)]);
});

test('a name that only the caller said is no label', async () => {
  const metrics = createMetrics({ process: 'test' });
  const take = createCallMetrics(metrics);
  take(event({ kind: 'refusal', tool: 'invented', outcome: 'refused', errorCode: 'tool_unknown' }));
  take(event({ kind: 'refusal', action: 'invokeModel', model: 'invented', outcome: 'refused', errorCode: 'model_unknown' }));
  expect(await metrics.metrics()).not.toContain('invented');
});

test('beyond the most series the rest is counted together, and nothing is lost', async () => {
  const metrics = createMetrics({ process: 'test' });
  const take = createCallMetrics(metrics, { most: 10 });
  for (let index = 0; index < 100; index += 1) take(event({ server: 'files', tool: `tool-${index}` }));
  const calls = seriesOf(await metrics.metrics(), 'quarterdeck_calls_total');
  expect(calls).toHaveLength(11);
  expect(calls.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)).toBe(100);
  expect(calls.find((line) => line.includes('tool="_other"'))).toMatch(/ 90$/);
});

test('what models used is summed up by model and direction', async () => {
  const metrics = createMetrics({ process: 'test' });
  const take = createCallMetrics(metrics);
  const used = { action: 'invokeModel', model: 'small', inputTokens: 10, outputTokens: 3, costMicroUsd: 7 };
  take(event(used));
  take(event(used));
  const text = await metrics.metrics();
  expect(seriesOf(text, 'quarterdeck_model_tokens_total').map((line) => line.split(' ').at(-1))).toEqual(['20', '6']);
  expect(seriesOf(text, 'quarterdeck_model_cost_micro_usd_total')).toEqual([expect.stringMatching(/model="small".* 14$/)]);
});
