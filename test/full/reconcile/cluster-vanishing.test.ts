import { beforeEach, expect, test, vi } from 'vitest';
import { AuditQuerySchema } from '../../../schema/audit-event.ts';
import { defaultTenancy } from '../../../schema/ids.ts';
import { getApproval } from '../../../store/approvals.ts';
import { queryAudit } from '../../../store/audit.ts';
import { listSteps } from '../../../store/reconcile-steps.ts';
import { deleteResource } from '../../../store/resources.ts';
import { clusterHands, configMapPath } from '../../support/cluster-hands.ts';
import { useClusterReconcilePlace } from '../../support/cluster-reconcile-place.ts';
import { reconcilerUser } from '../../support/kube-cluster.ts';
import type { Fault } from '../../support/kube-fault-proxy.ts';
import { deployment, refOf } from '../../support/kube-target.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { useTestDatabase } from '../../support/store-database.ts';

vi.setConfig({ testTimeout: 300_000 });
const { database } = useTestDatabase();
const loop = useClusterReconcilePlace(database);
const { isGone, byHand } = clusterHands(loop);

type Asked = { method?: string; url?: string };
/** What becomes of the requests about one namespace; of the others nothing. */
const gates = new Map<string, (asked: Asked) => Fault>();
beforeEach(() => {
  loop().proxy.set((asked) => gates.get(/\/namespaces\/([^/?]+)/.exec(asked.url ?? '')?.[1] ?? '')?.(asked) ?? 'pass');
});

const phases = ['awaiting-approval', 'applying', 'verifying', 'undoing'] as const;
type Phase = (typeof phases)[number];

const map = (name: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { level: 'info' } });
const manifests = [deployment({ resources: {} }, 'a'), map('m-1'), map('m-2'), map('m-3')];
const isWriteOf = (name: string, { method, url = '' }: Asked): boolean =>
  method !== 'GET' && new RegExp(`/${name}(\\?|$)`).test(url) && !url.includes('dryRun');

const fixOf = async (name: string) => (await loop().place.fixesOf(name)).find(({ plan }) => plan?.steps.length === 2);

/**
 * Brings a target to a phase of a fix of two steps and stops it there: in the middle of the second, in the hold, or in the middle of undoing
 * the first.
 * @returns `goOn`, which lets whatever is under way go on its way
 */
const bringTo = async (phase: Phase) => {
  const { place, declare, untilAsked } = loop();
  const name = place.newName();
  await declare(name, manifests);
  await pollUntil(
    async () => {
      await loop().run(name);
      return (await place.rowOf(name))?.phase === 'clean' || undefined;
    },
    `${name} to be clean`,
    120_000,
  );
  const operations = [
    { op: 'scale', object: refOf(name, 'Deployment', 'a'), replicas: 1 },
    { op: 'patchField', object: refOf(name, 'ConfigMap', 'm-1'), path: '/data/level', value: 'info' },
  ];
  await place.declareRule(name, { match: 'drift.kind == "changed"', operations });
  const verification = { timeoutSeconds: 30, holdSeconds: phase === 'verifying' ? 20 : 0 };
  await declare(name, manifests, { critical: true, verification });

  let goOn = (): void => undefined;
  const after = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  let isThere = false;
  let writesOfA = 0;
  gates.set(name, (asked) => {
    if (isWriteOf('a', asked)) writesOfA += 1;
    const isSecond = isWriteOf('m-1', asked);
    if (phase === 'undoing' && isSecond) return { status: 403 };
    const isHere = phase === 'applying' ? isSecond : phase === 'undoing' && isWriteOf('a', asked) && writesOfA > 1;
    if (!isHere) return 'pass';
    isThere = true;
    return { after };
  });
  const before = loop().writes(name).length;
  await byHand(configMapPath(name, 'm-1'), [{ op: 'replace', path: '/data/level', value: 'debug' }]);
  await place.start(name);
  await untilAsked(name);
  if (phase !== 'awaiting-approval') await place.answer(name, await place.waiting(name));
  if (phase === 'verifying') await place.phase(name, 'verifying', 60_000);
  else if (phase !== 'awaiting-approval') await pollUntil(() => isThere || undefined, `${name}: the middle of ${phase}`, 60_000);
  const fix = await fixOf(name);
  if (!fix) throw new Error('there is no fix');
  return { name, phase, fix, goOn, written: () => loop().writes(name).slice(before) };
};
type Brought = Awaited<ReturnType<typeof bringTo>>;
/** One target in each phase; that of the hold last, which does not wait for the others. */
const bringAll = async () => {
  const others = await Promise.all((['awaiting-approval', 'applying', 'undoing'] as const).map(bringTo));
  return [...others, await bringTo('verifying')];
};

const betweenStartsMs = 2_000;
/** @param isStarted - whether it is said again and again that something changed, as the controller does */
const ended = ({ name, fix }: Brought, isStarted = false) => {
  let startedAt = Number.NEGATIVE_INFINITY;
  return pollUntil(
    async () => {
      if (isStarted && performance.now() - startedAt > betweenStartsMs) {
        startedAt = performance.now();
        await loop().place.start(name);
      }
      return (await loop().place.fixesOf(name)).find(({ id, endedAt }) => id === fix.id && endedAt !== null);
    },
    `${name}: the end of its fix`,
    120_000,
  );
};
/** Nothing of a fix is left unsaid: each step has its outcome, each intent of the audit too. */
const expectAllSaid = async ({ phase, fix }: Brought): Promise<void> => {
  expect(
    (await listSteps(database(), fix.id)).filter(({ outcome }) => outcome === null),
    phase,
  ).toEqual([]);
  const audited = await queryAudit(database(), defaultTenancy, AuditQuerySchema.parse({ action: 'applyFix', limit: 1000 }));
  const said = (kind: string) =>
    audited.filter((event) => event.kind === kind && event.operationId?.startsWith(`${fix.id}/`)).map(({ operationId }) => operationId);
  expect(new Set(said('outcome')), phase).toEqual(new Set(said('intent')));
};

test('a target of a real cluster that is declared no more in the middle of a fix is written no more, and what was done is said', async () => {
  const said: Record<Phase, [state: string, message: string, writes: string[]]> = {
    'awaiting-approval': ['stale', 'declared no more', []],
    applying: [
      'failed',
      'step 1 (scale Deployment/NAME/a) was done; step 2 (patchField ConfigMap/NAME/m-1) was done',
      ['patch a', 'patch m-1'],
    ],
    verifying: [
      'failed',
      'step 1 (scale Deployment/NAME/a) was done; step 2 (patchField ConfigMap/NAME/m-1) was done',
      ['patch a', 'patch m-1'],
    ],
    undoing: ['failed', 'step 1 (scale Deployment/NAME/a) was undone', ['patch a', 'patch a']],
  };
  await Promise.all(
    phases.map(async (phase) => {
      const brought = await bringTo(phase);
      const { name, goOn, written } = brought;
      await deleteResource(database(), { ...defaultTenancy, kind: 'ReconcileTarget', name });
      goOn(); // what the API server was asked already is done
      await loop().place.start(name);
      const { state, message, approvalId } = await ended(brought);
      const [wanted, text, writes] = said[phase];
      expect({ state, message }, phase).toEqual({ state: wanted, message: expect.stringContaining(text.replaceAll('NAME', name)) });
      await loop().place.ended(name);
      await loop().run(name);
      expect(written(), phase).toEqual(writes);
      await expectAllSaid(brought);
      const approval = await getApproval(database(), { ...defaultTenancy, id: approvalId ?? '' });
      expect(approval.state).toBe(phase === 'awaiting-approval' ? 'expired' : 'consumed');
      expect(await loop().place.rowOf(name), 'nothing of it is kept').toBeUndefined();
    }),
  );
});

test('an API server that is killed in the middle of a fix leaves the target unknown and nothing given up; once it is back the fix goes on, each effect once', async () => {
  const all = await bringAll();
  await loop().cluster.stop();
  try {
    for (const { goOn } of all) goOn();
    await Promise.all(
      all.map(async ({ name, phase, fix }) => {
        if (phase === 'awaiting-approval') await loop().place.answer(name, await loop().place.waiting(name));
        await loop().place.start(name);
        await pollUntil(async () => (await loop().place.rowOf(name))?.phase === 'unknown' || undefined, `${phase}: unknown`, 120_000);
        await loop().place.ended(name);
        await loop().run(name);
        expect(await loop().place.rowOf(name), phase).toMatchObject({ phase: 'unknown', frozen: false });
        const open = (await loop().place.fixesOf(name)).find(({ id }) => id === fix.id);
        expect(open, phase).toMatchObject({ endedAt: null });
      }),
    );
  } finally {
    await loop().cluster.restart();
  }
  await Promise.all(
    all.map(async (brought) => {
      const { phase, written } = brought;
      const { state } = await ended(brought, true);
      // while its API server was away the node was too: what is seen unwell afterwards is a reason to take it back
      const writes: Partial<Record<typeof state, string[]>> = {
        fixed: ['patch a', 'patch m-1'],
        'rolled-back': ['patch a', 'patch m-1', 'patch m-1', 'patch a'],
        failed: ['patch a', 'patch a'],
      };
      if (phase === 'undoing') expect(state).toBe('failed');
      else expect(['fixed', 'rolled-back'], phase).toContain(state);
      expect(written(), `${phase}: each effect once`).toEqual(writes[state]);
      await expectAllSaid(brought);
    }),
  );
});

/** Deletes a namespace as people do; the controller manager takes all that is in it along. */
const deleteNamespace = async (name: string): Promise<void> => {
  await loop().cluster.send('DELETE', `/api/v1/namespaces/${name}`);
  await pollUntil(() => isGone(`/api/v1/namespaces/${name}`), `the namespace ${name} to be gone`, 120_000);
};

test('a namespace that vanishes in the middle of a fix, with the right to look into it: nothing is made of the old plan, and what cannot be taken back is for people', async () => {
  const all = await bringAll();
  const already = new Map(all.map(({ name, written }) => [name, written()]));
  const expectNothingMade = (): void => {
    for (const { name, phase, written } of all) expect(written(), `${phase}: nothing is made`).toEqual(already.get(name));
  };
  const until = (names: readonly Phase[], what: string, is: (brought: Brought) => Promise<boolean>) =>
    Promise.all(
      all
        .filter(({ phase }) => names.includes(phase))
        .map(async (brought) => {
          await loop().place.start(brought.name);
          await pollUntil(async () => (await is(brought)) || undefined, `${brought.phase}: ${what}`, 150_000);
        }),
    );
  await Promise.all(all.map(({ name }) => deleteNamespace(name)));
  for (const { goOn } of all) goOn();
  const [first] = all;
  if (!first) throw new Error('nothing was begun');
  await loop().place.answer(first.name, await loop().place.waiting(first.name));
  // what was changed and can be neither finished nor taken back is for people; the rest waits until it can be looked into
  const frozen = async ({ name }: Brought) => (await loop().place.rowOf(name))?.frozen === true;
  await Promise.all([
    until(['applying', 'undoing'], 'frozen', frozen),
    until(['awaiting-approval', 'verifying'], 'unknown', async (brought) => {
      const isUnknown = (await loop().place.rowOf(brought.name))?.phase === 'unknown';
      return isUnknown || (brought.phase === 'verifying' && (await frozen(brought)));
    }),
  ]);
  expectNothingMade();

  await loop().cluster.send('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name: 'reconciler-everywhere' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'reconciler' },
    subjects: [{ kind: 'User', name: reconcilerUser }],
  });
  for (const brought of all) {
    const { state, message } = await ended(brought, true);
    const isFree = brought.phase === 'awaiting-approval';
    expect(isFree ? ['left-alone', 'stale'] : ['frozen'], `${brought.phase}: ${message}`).toContain(state);
    if (!isFree) expect(message).toContain(`Touched: Deployment/${brought.name}/a`);
    await expectAllSaid(brought);
  }
  expectNothingMade();
});
