import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { AuditQuerySchema } from '../../../schema/audit-event.ts';
import { defaultTenancy } from '../../../schema/ids.ts';
import { getApproval } from '../../../store/approvals.ts';
import { queryAudit } from '../../../store/audit.ts';
import { seedPeople } from '../../../store/people.ts';
import { startDiagnosedPlace } from '../../support/diagnosed-place.ts';
import { type DiagnosisPlace, propose } from '../../support/diagnosis-place.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { deploymentManifest, deploymentRef, type ReconcilePlace } from '../../support/reconcile-place.ts';

let diagnosis: DiagnosisPlace;
let place: ReconcilePlace;
let close: (() => Promise<void>) | undefined;
beforeAll(async () => {
  ({ diagnosis, place, close } = await startDiagnosedPlace());
});
afterAll(() => close?.());

/** The binding by which the target's owner may use the role that diagnoses; nothing else lets them. */
const binding = {
  name: 'diagnosers',
  spec: { subjects: [{ person: 'admin' }], toolsets: [], models: [], agentRoles: ['diagnoser'], fleets: [] },
};
const load = (bindings: object[], cedar?: string): void => {
  const policySets = cedar === undefined ? [] : [{ name: 'freeze', cedar }];
  place.engine.load(defaultTenancy, { policySets, bindings } as never);
};
beforeEach(async () => {
  await seedPeople(place.database, 'default', [
    { id: 'admin', groups: [], roles: [] },
    { id: 'olga', groups: ['ops'], roles: ['reviewer'] },
  ]);
  await place.database.$client.query(`update people set disabled = false where id in ('admin', 'olga')`);
  load([binding]);
});

/** A target whose `web` hangs for a reason that no rule knows; whoever is named has said yes to its fix, and nothing was applied yet. */
const approved = async (approver: string) => {
  const target = place.newName();
  const web = `${target}-web`;
  place
    .worldOf(target)
    .judgeBy(({ name }, { spec }) =>
      name === web && spec.replicas !== 1
        ? { health: 'degraded', symptoms: [{ code: 'Stuck', message: '', count: 1 }] }
        : { health: 'healthy', symptoms: [] },
    );
  const operations = [{ op: 'scale', object: deploymentRef(web), replicas: 1 }];
  diagnosis.script.answer = () => propose({ diagnosis: 'It hangs.', confidence: 0.9, operations });
  await place.declare(target, {
    manifests: [web, `${target}-a`, `${target}-b`].map((name) => deploymentManifest(name)),
    ...{ critical: true, escalation: { role: 'diagnoser' }, approval: { approvers: [approver] }, limits: { cooldownSeconds: 300 } },
  });
  await place.start(target);
  const approval = await place.waiting(target, 60_000);
  await place.declarePause(target, true);
  expect((await place.answer(target, approval, 'olga')).state).toBe('approved');
  await place.phase(target, 'waiting', 60_000);
  return { target, approval };
};
/** The pause is over: now it would be applied. */
const goOn = async (target: string) => {
  await place.declarePause(target, false);
  await place.start(target);
  return pollUntil(async () => (await place.fixesOf(target)).find(({ endedAt }) => endedAt !== null), `${target}: its end`, 60_000);
};
const inDatabase = (statement: string) => place.database.$client.query(statement);

test('what nothing was revoked of is applied', async () => {
  const { target } = await approved('group:ops');
  expect(await goOn(target)).toMatchObject({ state: 'fixed' });
  expect(place.worldOf(target).effects).toHaveLength(1);
});

const proven: string[] = [];

test.each([
  [
    'the group by which she may answer',
    'group:ops',
    async () => inDatabase(`update people set groups = '{}' where id = 'olga'`),
    'as they are now',
  ],
  [
    'the role by which she may answer',
    'role:reviewer',
    async () => inDatabase(`update people set roles = '{}' where id = 'olga'`),
    'as they are now',
  ],
  ['her account', 'person:olga', async () => inDatabase(`update people set disabled = true where id = 'olga'`), 'as they are now'],
  ['the binding of its owner to the role that proposed it', 'group:ops', async () => load([]), 'may not use the role diagnoser'],
  [
    'the permission, by a policy that was published meanwhile',
    'group:ops',
    async () =>
      load(
        [binding],
        '@advice("Nothing is scaled this week.") @id("no-scale") forbid (principal, action == Quarterdeck::Action::"applyFix", resource);',
      ),
    'Nothing is scaled this week.',
  ],
] as const)(
  'who loses %s between approval and apply has approved nothing: it is denied, nothing is written, and it is on record',
  async (what, approver, revoke, said) => {
    const { target, approval } = await approved(approver);
    await revoke();
    const fix = await goOn(target);
    expect(fix).toMatchObject({ state: 'denied', message: expect.stringContaining(said) });
    expect(place.worldOf(target).effects).toEqual([]);
    expect((await getApproval(place.database, { ...defaultTenancy, id: approval.id })).state, 'and cannot be used later').toBe('expired');
    const events = await queryAudit(place.database, defaultTenancy, AuditQuerySchema.parse({ limit: 1000 }));
    expect(events.filter(({ action, operationId }) => action === 'useApproval' && operationId === fix.id)).toEqual([]);
    const refused = events.filter(({ kind, resource }) => kind === 'refusal' && resource === `ReconcileTarget/${target}`);
    expect(refused.length).toBeGreaterThan(0);
    proven.push(what);
  },
);

test('what is revoked between approval and apply, of who approved, of who declared it or by policy, makes the approval worth nothing', () => {
  expect(proven).toHaveLength(5);
});
