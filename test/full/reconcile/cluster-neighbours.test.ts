import { afterAll, beforeAll, expect, test } from 'vitest';
import { listSteps } from '../../../store/reconcile-steps.ts';
import { clusterHands, deploymentPath } from '../../support/cluster-hands.ts';
import { type ClusterReconcilePlace, startClusterReconcilePlace } from '../../support/cluster-reconcile-place.ts';
import { type DiagnosisPlace, propose, startDiagnosisPlace } from '../../support/diagnosis-place.ts';
import { deployment, images, refOf } from '../../support/kube-target.ts';
import { pollUntil } from '../../support/poll-until.ts';

let diagnosis: DiagnosisPlace;
let loop: ClusterReconcilePlace;
beforeAll(async () => {
  diagnosis = await startDiagnosisPlace();
  const { gateway, contents, client } = diagnosis;
  loop = await startClusterReconcilePlace({
    ...{ database: gateway.database, contents, gateway: client, owner: 'admin' },
    images: { ...images, 'registry.test/front:1': { port: 8080, dials: [53] } },
  });
});
afterAll(async () => {
  await loop?.close();
  await diagnosis?.close();
});
const { see, live } = clusterHands(() => loop);

const isUp = async (namespace: string, name: string): Promise<true | undefined> => {
  const { spec, status } = await live(namespace, name);
  return (status.observedGeneration >= 1 && status.readyReplicas === (spec.replicas ?? 1)) || undefined;
};
const untilUp = (namespace: string, name: string) => pollUntil(() => isUp(namespace, name), `${namespace}/${name} to be up`, 90_000);
/** The fix that was taken back; what it asks is approved. */
const untilTakenBack = async (name: string, isAsked: boolean) => {
  if (isAsked) {
    await loop.untilAsked(name);
    await loop.place.answer(name, await loop.place.waiting(name));
  }
  return pollUntil(
    async () => (await loop.place.fixesOf(name)).find(({ state }) => state === 'rolled-back'),
    `${name}: what was done to be taken back`,
    120_000,
  );
};

const egressPath = (namespace: string) => `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies/egress`;
const egress = (...ports: number[]) => ({
  ...{ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'egress' } },
  spec: { podSelector: {}, policyTypes: ['Egress'], egress: [{ ports: ports.map((port) => ({ port, protocol: 'TCP' })) }] },
});

test('what is declared anew and shuts out another object of the target is taken back to the letter, and not done again while nothing is new', async () => {
  const name = loop.place.newName();
  const front = deployment({ image: 'registry.test/front:1' }, 'front');
  await loop.declare(name, [deployment(), front, egress(5432, 53)]);
  await loop.untilClean(name);
  const before = { spec: (await see(egressPath(name))).spec, writes: loop.writes(name).length };

  await loop.declare(name, [deployment(), front, egress(5432)], { verification: { timeoutSeconds: 120, holdSeconds: 30 } });
  await loop.place.start(name);
  const fix = await untilTakenBack(name, false);
  expect(fix).toMatchObject({ plan: { source: { kind: 'rule' } }, message: expect.stringContaining('around it became unhealthy') });
  expect((await see(egressPath(name))).spec).toEqual(before.spec);
  await untilUp(name, 'front');

  // what is still as it was is not tried again: people are asked
  for (let look = 0; look < 3; look += 1) await loop.run(name);
  expect(loop.writes(name).slice(before.writes)).toEqual(['patch egress', 'patch egress']);
  expect((await listSteps(loop.place.database, fix.id)).map(({ direction, outcome }) => `${direction} ${outcome?.kind}`).sort()).toEqual([
    'do applied',
    'undo applied',
  ]);
  expect((await loop.place.fixesOf(name)).at(-1)).toMatchObject({ state: 'asked' });
  expect(await loop.place.rowOf(name)).toMatchObject({ phase: 'asking', drifts: [{ kind: 'changed' }] });
});

test('more memory that a model proposed and a person approved, and that drives out what somebody else runs beside it, is taken back, and not offered again', async () => {
  const name = loop.place.newName();
  loop.images['registry.test/web:2'] = { port: 8080, memoryMi: 64 };
  const priority = `high-${name}`;
  await loop.cluster.send('POST', '/apis/scheduling.k8s.io/v1/priorityclasses', { metadata: { name: priority }, value: 1000 });
  const sized = (memory: string, image: string, own: string) => {
    const one = deployment({ image, resources: { limits: { memory, cpu: '100m' } } }, own);
    Object.assign(one.spec, { replicas: 1, strategy: { type: 'Recreate' } });
    return one;
  };
  const web = sized('128Gi', 'registry.test/web:2', 'web');
  web.spec.template.spec.priorityClassName = priority;
  await loop.declare(name, [web, deployment({}, 'a'), deployment({}, 'b')]);
  await loop.untilClean(name);
  loop.place.time.offsetMs = 0; // what an undo leaves behind settles by the time of its row
  // the node has 256 Gi: with a quarter more for the one there is no room for the other
  await loop.cluster.send('POST', `/apis/apps/v1/namespaces/${name}/deployments`, sized('110Gi', 'registry.test/web:1', 'theirs'));
  await untilUp(name, 'theirs');
  await loop.declare(name, [web, deployment({}, 'a'), deployment({}, 'b')], {
    ...{ escalation: { role: 'diagnoser' }, rulesOff: ['raise-memory'], verification: { timeoutSeconds: 120, holdSeconds: 30 } },
    limits: { cooldownSeconds: 0, fixesPerHour: 1000, failuresBeforeBlock: 20 },
  });
  const [own, before] = [(await live(name)).spec, loop.writes(name).length];
  diagnosis.script.answer = () =>
    propose({
      ...{ diagnosis: 'It runs out of memory.', confidence: 0.9 },
      operations: [{ op: 'setResources', object: refOf(name, 'Deployment', 'web'), container: 'web', memoryLimit: '160Gi' }],
    });
  loop.images['registry.test/web:2'] = { port: 8080, memoryMi: 150 * 1024 };
  const untilKilled = () =>
    pollUntil(
      async () => {
        const pods = (await see(`/api/v1/namespaces/${name}/pods?labelSelector=app%3Dweb`)).items;
        return JSON.stringify(pods).includes('OOMKilled') || undefined;
      },
      'web to run out of memory',
      60_000,
    );
  await untilKilled();

  await loop.place.start(name);
  const fix = await untilTakenBack(name, true);
  expect(fix).toMatchObject({ plan: { source: { kind: 'model' } }, message: expect.stringContaining('around it became unhealthy') });
  expect((await live(name)).spec).toEqual(own);
  await untilUp(name, 'theirs');
  await untilKilled();

  // the model says the same again when it is asked next: nobody is asked, and nothing is written
  const again = await pollUntil(
    async () => {
      loop.place.time.offsetMs += 150_000;
      await loop.place.start(name);
      return (await loop.place.fixesOf(name)).find(({ beganAt, endedAt }) => beganAt > fix.beganAt && endedAt !== null);
    },
    'the same to be proposed again',
    60_000,
  );
  expect(again).toMatchObject({ state: 'refused', approvalId: null, faults: [{ code: 'tried_in_vain' }] });
  expect(loop.writes(name).slice(before)).toEqual(['patch web', 'patch web']);
  await loop.cluster.send('DELETE', deploymentPath(name, 'theirs'));
});
