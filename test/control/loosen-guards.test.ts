import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { AuditQuerySchema } from '../../schema/audit-event.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { queryAudit } from '../../store/audit.ts';
import { seedPeople } from '../../store/people.ts';
import { shopTarget } from '../support/fix-to-decide.ts';
import { type RunningApi, startRunningApi } from '../support/running-api.ts';

/** Mallory may declare and delete whatever there is in the project, and is neither administrator nor reviewer. */
const delegated = `permit (principal in Quarterdeck::Group::"default/declarers", action in [Quarterdeck::Action::"administer", Quarterdeck::Action::"observe"], resource);`;
const v1 = { apiVersion: 'quarterdeck.dev/v1alpha1' };
const strict = { approvers: ['role:administrator'], count: 2 };

const start = async (profile: 'dev' | 'production') => {
  const api = await startRunningApi({ cedar: true, profile });
  await seedPeople(api.database, 'default', [
    { id: 'mallory', groups: ['declarers'], roles: [] },
    { id: 'root', groups: [], roles: ['administrator'] },
  ]);
  return api;
};
const project = (spec: object, name = 'default') => ({ ...v1, kind: 'Project', metadata: { name, project: name }, spec });
const target = (spec: object) => ({ ...v1, kind: 'ReconcileTarget', metadata: { name: 'shop' }, spec: { ...shopTarget(), ...spec } });
const apply = async (api: RunningApi, id: string, document: object, loginAgeSeconds: number | null = 0) => {
  const token = await api.login(id, loginAgeSeconds);
  const { status, body } = await api.request('POST', '/apply', { token, body: { documents: [document] } });
  return [status, body.code ?? body.results[0].action, body.detail ?? ''] as const;
};
const refused = [403, 'not_permitted', expect.stringContaining('platform/administrators-loosen-guards')];
const rows = async (api: RunningApi, action: string, kind: 'change' | 'refusal') =>
  queryAudit(api.database, defaultTenancy, AuditQuerySchema.parse({ limit: 1000, action, kind }), api.audit.people);

describe('one who may declare projects and targets alone', () => {
  let api: RunningApi;
  beforeAll(async () => {
    api = await start('dev');
    const set = { ...v1, kind: 'PolicySet', metadata: { name: 'delegated' }, spec: { cedar: delegated } };
    const wanted = project({ retention: { auditDays: 365 }, approvals: { publication: strict } });
    for (const document of [wanted, target({ critical: true, approval: { ...strict, expiresInSeconds: 3600 } }), set])
      expect((await apply(api, 'root', document))[0]).toBe(200);
  });
  afterAll(() => api.close());
  const specOf = async (kind: string, name: string) => (await api.request('GET', `/default/default/resources/${kind}/${name}`)).body.spec;

  test.each([
    ['keeps the audit for a day', { retention: { auditDays: 1 }, approvals: { publication: strict } }],
    ['asks one person', { retention: { auditDays: 365 }, approvals: { publication: { ...strict, count: 1 } } }],
    ['asks a friend', { retention: { auditDays: 365 }, approvals: { publication: { ...strict, approvers: ['person:friend'] } } }],
    ['asks nobody', { retention: { auditDays: 365 } }],
  ])('makes no project of it that %s, and the refusal is on record', async (_what, spec) => {
    const before = (await rows(api, 'loosenGuards', 'refusal')).length;
    expect(await apply(api, 'mallory', project(spec))).toEqual(refused);
    const found = await rows(api, 'loosenGuards', 'refusal');
    expect([found.length, found.at(-1)]).toEqual([before + 1, expect.objectContaining({ person: 'mallory', resource: 'Project/default' })]);
    expect(await specOf('Project', 'default')).toMatchObject({ retention: { auditDays: 365 }, approvals: { publication: { count: 2 } } });
  });

  test.each([
    ['asks one person', { critical: true, approval: { ...strict, count: 1 } }],
    ['asks a friend', { critical: true, approval: { ...strict, approvers: ['person:friend'] } }],
    ['asks nobody about what is small', { approval: strict }],
    ['has done what nothing undoes', { critical: true, approval: strict, allow: ['irreversible-ok'] }],
  ])('makes no target of it that %s, nor by deleting it first', async (_what, spec) => {
    expect(await apply(api, 'mallory', target(spec))).toEqual(refused);
    const token = await api.login('mallory');
    const deleted = await api.request('DELETE', '/default/default/resources/ReconcileTarget/shop', { token });
    expect([deleted.status, deleted.body.code, deleted.body.detail]).toEqual(refused);
    expect(await specOf('ReconcileTarget', 'shop')).toMatchObject({ critical: true, approval: { count: 2 }, allow: [] });
  });

  test('still changes whatever guards nobody, and may ask for more', async () => {
    const approvals = { publication: { ...strict, count: 3 }, release: strict };
    expect((await apply(api, 'mallory', project({ description: 'ours', retention: { auditDays: 366 }, approvals })))[1]).toBe('configured');
    expect((await apply(api, 'mallory', target({ intervalSeconds: 90, critical: true, approval: { ...strict, acr: 2 } })))[1]).toBe(
      'configured',
    );
    // and that is not undone by them either
    expect(await apply(api, 'mallory', project({ retention: { auditDays: 366 }, approvals: { publication: strict } }))).toEqual(refused);
  });

  test('makes no project whose predecessor’s audit would go', async () => {
    expect((await apply(api, 'root', project({}, 'gone')))[1]).toBe('created');
    expect((await api.request('DELETE', '/default/gone/resources/Project/gone', { token: await api.login('root') })).status).toBe(200);
    expect((await apply(api, 'mallory', project({ retention: { auditDays: 1 } }, 'gone')))[0]).toBe(403);
  });

  test('an administrator does, and the row of the change says what was loosened by which decision', async () => {
    expect((await apply(api, 'root', project({ retention: { auditDays: 30 } })))[1]).toBe('configured');
    const [row] = (await rows(api, 'applyResource', 'change')).slice(-1);
    expect(row).toMatchObject({
      ...{ person: 'root', resource: 'Project/default' },
      facts: {
        loosened: ['approvals.publication', 'approvals.release', 'retention.auditDays'],
        loosenDecisionId: expect.stringMatching(/^dec_/),
      },
    });
  });
});

describe('in production an administrator', () => {
  let api: RunningApi;
  beforeAll(async () => {
    api = await start('production');
  });
  afterAll(() => api.close());
  afterEach(() => api.temporal.told.splice(0));

  test('loosens nothing by a login of long ago, nor by a token that says nothing of one', async () => {
    expect((await apply(api, 'root', project({ retention: { auditDays: 365 } })))[1]).toBe('created');
    const shorter = project({ retention: { auditDays: 30 } });
    expect((await apply(api, 'root', shorter, 301)).slice(0, 2)).toEqual([401, 'login_stale']);
    expect((await apply(api, 'root', shorter, null)).slice(0, 2)).toEqual([401, 'login_stale']);
    expect((await apply(api, 'root', project({ description: 'd', retention: { auditDays: 365 } }), 4000))[1]).toBe('configured');
    expect((await apply(api, 'root', shorter))[1]).toBe('configured');
  });

  test('names no friend for what one other person has to approve where nothing is said', async () => {
    const friend = project({ retention: { auditDays: 30 }, approvals: { publication: { approvers: ['person:friend'] } } });
    expect((await apply(api, 'root', friend, 301)).slice(0, 2)).toEqual([401, 'login_stale']);
  });
});
