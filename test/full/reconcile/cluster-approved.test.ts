import { expect, test } from 'vitest';
import { defaultTenancy } from '../../../schema/ids.ts';
import type { Fix } from '../../../schema/reconcile/fix.ts';
import { openApprovedText } from '../../../store/approvals.ts';
import { digestOfText } from '../../../store/exact-call.ts';
import { approvalKeys } from '../../support/ask-approval.ts';
import { clusterHands, configMapPath, deploymentPath } from '../../support/cluster-hands.ts';
import { useClusterReconcilePlace } from '../../support/cluster-reconcile-place.ts';
import { writesIn } from '../../support/kube-cluster.ts';
import { deployment, refOf } from '../../support/kube-target.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { useTestDatabase } from '../../support/store-database.ts';

const { database } = useTestDatabase();
const loop = useClusterReconcilePlace(database);
const { see, live, byHand } = clusterHands(loop);

const map = (name: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { level: 'info' } });
const manifests = [deployment({}, 'a'), map('m-1'), map('m-2'), map('m-3')];

/** A target whose fix of two steps waits for people: one replica less, and a field put back. */
const ask = async () => {
  const name = loop().place.newName();
  await loop().declare(name, manifests);
  await loop().untilClean(name);
  const operations = [
    { op: 'scale', object: refOf(name, 'Deployment', 'a'), replicas: 1 },
    { op: 'patchField', object: refOf(name, 'ConfigMap', 'm-1'), path: '/data/level', value: 'info' },
  ];
  await loop().place.declareRule(name, { match: 'drift.kind == "changed"', operations });
  await loop().declare(name, manifests, { critical: true });
  const before = loop().writes(name).length;
  await byHand(configMapPath(name, 'm-1'), [{ op: 'replace', path: '/data/level', value: 'debug' }]);
  await loop().place.start(name);
  const fix = await loop().untilAsked(name);
  return { name, fix, approval: await loop().place.waiting(name), written: () => loop().writes(name).slice(before) };
};
const ended = (name: string, { id }: Fix) =>
  pollUntil(
    async () => (await loop().place.fixesOf(name)).find((fix) => fix.id === id && fix.endedAt !== null),
    `${name}: the end of its fix`,
    120_000,
  );

test('what the API server is asked to do is what was approved, to the digest; a plan whose row was changed after that is refused, and nothing of it is written', async () => {
  const { name, fix, approval, written } = await ask();
  const text = await openApprovedText(database(), approvalKeys, { ...defaultTenancy, id: approval.id });
  expect(digestOfText(text)).toBe(approval.digest);
  expect(fix.planDigest).toBe(approval.digest);
  await loop().place.answer(name, approval);
  const done = await ended(name, fix);
  expect(done).toMatchObject({ state: 'fixed', planDigest: approval.digest, plan: JSON.parse(text) });
  expect(written()).toEqual(['patch a', 'patch m-1']);
  // of each request nothing but its step, the version that it is of and the mark of its operation
  type Edit = { op: string; path: string; value: unknown };
  const requests = writesIn(loop().cluster.audit()).filter(({ objectRef }) => objectRef?.namespace === name);
  const edits = requests.slice(-2).map(({ requestObject }) => (requestObject as Edit[]).map(({ path, value }) => [path, value]));
  const mark = (step: number) => ['/metadata/annotations/quarterdeck.dev~1operation', `${fix.id}/do/${step}`];
  const version = ['/metadata/resourceVersion', expect.any(String)];
  expect(edits).toEqual([
    [version, mark(0), ['/spec/replicas', 1]],
    [version, mark(1), ['/data/level', 'info']],
  ]);

  const other = await ask();
  await database().$client.query(`update reconcile_fixes set plan = jsonb_set(plan, '{steps,0,operation,replicas}', '0') where id = $1`, [
    other.fix.id,
  ]);
  await loop().place.answer(other.name, other.approval);
  expect(await ended(other.name, other.fix)).toMatchObject({ state: 'refused', faults: [{ code: 'other_plan' }] });
  expect(other.written()).toEqual([]);
  expect((await live(other.name, 'a')).spec.replicas).toBe(2);
});

test('somebody who edits an object of a real cluster after its fix was asked about keeps the edit: nothing is written, and people are asked anew by what is there now', async () => {
  const { name, fix, approval, written } = await ask();
  await byHand(deploymentPath(name, 'a'), [{ op: 'add', path: '/metadata/labels/by', value: 'hand' }]);
  // a look that comes first has ended it, with what was asked
  await loop()
    .place.answer(name, approval)
    .catch(({ code }) => expect(code).toBe('approval_expired'));
  expect(await ended(name, fix)).toMatchObject({ state: 'stale', message: expect.stringContaining('Somebody changed') });
  expect(written()).toEqual([]);
  loop().place.time.offsetMs += 3_600_000;
  await loop().place.start(name);
  const next = await loop().untilAsked(name);
  expect(next.id).not.toBe(fix.id);
  const seen = (await live(name, 'a')).metadata;
  expect(next.plan?.steps[0]?.precondition).toMatchObject({ kind: 'version', uid: seen.uid });
  expect(next.plan?.steps[0]?.precondition).not.toEqual(fix.plan?.steps[0]?.precondition);
  await loop().place.answer(name, await loop().place.waiting(name));
  await ended(name, next);
  expect((await live(name, 'a')).metadata.labels.by).toBe('hand');
});

test('an edit between the look at an object of a real cluster and the write of an approved step is kept, and the step before it is taken back', async () => {
  const { name, fix, approval, written } = await ask();
  let edits = 0;
  loop().proxy.set(({ method, url = '' }) => {
    if (method !== 'PATCH' || !url.includes(`/namespaces/${name}/configmaps/m-1`) || url.includes('dryRun')) return 'pass';
    edits += 1;
    const edit = byHand(configMapPath(name, 'm-1'), [{ op: 'replace', path: '/data/level', value: `by hand ${edits}` }]);
    return { after: edit.then(() => undefined) };
  });
  await loop().place.answer(name, approval);
  const { state, message } = await ended(name, fix);
  expect(state).toBe('failed');
  expect(message).toContain('Step 2 failed (precondition)');
  expect(edits, 'it is asked once').toBe(1);
  expect(written()).toEqual(['patch a', 'patch a']);
  expect((await see(configMapPath(name, 'm-1'))).data).toEqual({ level: 'by hand 1' });
  expect((await live(name, 'a')).spec.replicas).toBe(2);
});
