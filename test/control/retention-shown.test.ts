import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { removeOld } from '../../store/remove-old.ts';
import { openAuditLog } from '../support/audit-log.ts';
import { guestToken, type RunningApi, startRunningApi } from '../support/running-api.ts';

let api: RunningApi;
beforeAll(async () => {
  api = await startRunningApi({ cedar: true });
  api.clock.now = new Date();
});
afterAll(() => api.close());

test('where retention has removed rows, the audit, its trials of policies and what would go all say so', async () => {
  const aged = { org: 'default', project: 'aged' };
  const log = openAuditLog(api.database, 'gateway');
  const call = (tool: string) =>
    ({
      ...aged,
      kind: 'call',
      action: 'callTool',
      decision: 'allow',
      decisionId: `dec_${tool}`,
      person: 'admin',
      tool,
      outcome: 'ok',
    }) as const;
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 40 * 86_400_000 });
  await log.append(api.database, [call('old-1'), call('old-2')]);
  vi.useRealTimers();
  await log.append(api.database, [call('new')]);
  const { body: before } = await api.request('GET', '/default/aged/retention?auditDays=30');
  expect(before.kinds[0]).toMatchObject({ what: 'audit', days: 30, due: 2, removed: null });
  expect((await api.request('GET', '/default/aged/retention?auditDays=0')).status).toBe(400);
  expect((await api.request('GET', '/default/aged/retention', { token: guestToken })).status).toBe(403);
  expect((await api.request('GET', '/default/aged/audit')).body.notes).toBeUndefined();

  await removeOld({ database: api.database, audit: log }, aged, 'audit', {
    before: new Date(Date.now() - 30 * 86_400_000),
    at: new Date(),
  });
  const said = expect.stringContaining(`removed by retention of project default/aged on ${new Date().toISOString().slice(0, 10)}`);
  const { body: audit } = await api.request('GET', '/default/aged/audit?action=callTool');
  expect(audit.events.map(({ tool }: { tool: string }) => tool)).toEqual(['new']);
  expect(audit.notes).toEqual([said]);
  // who looks at a time since then misses nothing
  const since = new Date(Date.now() - 86_400_000).toISOString();
  expect((await api.request('GET', `/default/aged/audit?since=${since}`)).body.notes).toBeUndefined();
  expect((await api.request('GET', '/default/aged/retention?auditDays=30')).body.kinds[0]).toMatchObject({ due: 0, removed: { rows: 2 } });
  expect((await api.request('GET', '/default/aged/policy/decisions/dec_old-1')).body).toMatchObject({ code: 'not_found', detail: said });
  expect((await api.request('GET', '/default/aged/policy/suggestions/reader')).body).toMatchObject({ code: 'not_found', detail: said });
  const documents = [
    {
      apiVersion: 'quarterdeck.dev/v1alpha1',
      kind: 'PolicySet',
      metadata: { name: 'tried', project: 'aged' },
      spec: { cedar: 'permit (principal, action, resource);' },
    },
  ];
  expect((await api.request('POST', '/default/aged/policy/backtest', { body: { documents } })).body.notes).toEqual([said]);
});
