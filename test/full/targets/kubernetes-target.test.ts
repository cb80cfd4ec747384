import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { KubernetesTarget } from '../../../activities/targets/kubernetes-connection.ts';
import { createKubernetesTarget, type KubernetesTargetPort } from '../../../activities/targets/kubernetes-target.ts';
import type { Operation } from '../../../schema/reconcile/operation.ts';
import { type KubeCluster, startKubeCluster, writesIn } from '../../support/kube-cluster.ts';
import { startKubeFaultProxy } from '../../support/kube-fault-proxy.ts';
import {
  applying,
  container,
  deployment,
  digestOfState,
  images,
  kubernetesTarget,
  objectIn,
  preconditionOf,
  refOf,
  service,
  settings,
} from '../../support/kube-target.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { targetContract } from '../../support/target-contract.ts';

let cluster: KubeCluster;
let proxy: Awaited<ReturnType<typeof startKubeFaultProxy>>;
let port: KubernetesTargetPort;
let kubeconfig: string;
let throughProxy: string;

beforeAll(async () => {
  cluster = await startKubeCluster(images);
  proxy = await startKubeFaultProxy(cluster);
  kubeconfig = cluster.reconcilerKubeconfig('direct.kubeconfig');
  throughProxy = cluster.reconcilerKubeconfig('proxy.kubeconfig', proxy.url);
  const pauses = { random: () => 0.5, pause: async () => void (await new Promise((resolve) => setTimeout(resolve, 20))) };
  port = createKubernetesTarget({ secrets: { environment: {} }, watchTiming: pauses });
});
afterEach(() => proxy.set(() => 'pass'));
afterAll(async () => {
  await port?.close();
  await proxy?.close();
  await cluster?.close();
});

const signal = () => AbortSignal.timeout(60_000);
const see = (target: KubernetesTarget, kind = 'Deployment', name = 'web') =>
  port.observe(target, signal()).then((observation) => objectIn(observation, kind, name));
const live = (namespace: string, name = 'web') => cluster.send('GET', `/apis/apps/v1/namespaces/${namespace}/deployments/${name}`);
/** As somebody with kubectl does. */
const byHand = (namespace: string, patch: object[], name = 'web') =>
  cluster.send(
    'PATCH',
    `/apis/apps/v1/namespaces/${namespace}/deployments/${name}?fieldManager=kubectl-edit`,
    patch,
    'application/json-patch+json',
  );
const imagePath = '/spec/template/spec/containers/0/image';
const setImage = (image: string) => ({ op: 'replace', path: imagePath, value: image });

/** A namespace with what is declared in it, applied and well. */
const settle = async (namespace: string, manifests: object[] = [deployment()], more: object = {}, config = kubeconfig) => {
  await cluster.openNamespace(namespace);
  const target = kubernetesTarget(namespace, config, manifests, more);
  for (const { kind, metadata } of target.spec.manifests)
    expect(
      await port.apply(target, { op: 'reapply', object: refOf(namespace, kind, metadata.name) }, applying(`make-${kind}`)),
    ).toMatchObject({
      kind: 'applied',
    });
  return target;
};
const untilHealthy = (target: KubernetesTarget) =>
  pollUntil(async () => ((await see(target)).health === 'healthy' ? true : undefined), 'the Deployment to be healthy');
const untilSymptom = (target: KubernetesTarget, code: string, kind = 'Deployment', name = 'web') =>
  pollUntil(async () => {
    const seen = await see(target, kind, name);
    return seen.health === 'degraded' && seen.symptoms.some((one) => one.code === code) ? seen : undefined;
  }, `${code} at ${kind}/${name}`);

targetContract('the adapter of a cluster keeps what a target promises', async () => {
  const target = await settle('contract', [deployment()], {}, throughProxy);
  await untilHealthy(target);
  const object = refOf('contract', 'Deployment', 'web');
  const since = cluster.audit().length;
  let edits = 0;
  const isOurs = ({ requestURI }: { requestURI: string }): boolean =>
    requestURI.includes('/namespaces/contract/') && !requestURI.includes('kubectl-edit');
  return {
    ...{ port, target },
    operation: { op: 'scale', object, replicas: 3 },
    senseless: { op: 'setImage', object, container: 'nobody', image: 'registry.test/web:2' },
    edit: async () => {
      edits += 1;
      await byHand('contract', [{ op: 'add', path: '/spec/minReadySeconds', value: edits }]);
    },
    writes: async () => writesIn(cluster.audit().slice(since)).filter(isOurs).length,
    goAway: async () => {
      proxy.set(() => 'cut');
      return async () => proxy.set(() => 'pass');
    },
    loseAnswer: () => {
      proxy.set(({ method }) => (method === 'PATCH' ? 'lose' : 'pass'));
      return () => proxy.set(() => 'pass');
    },
  };
});

test('in steady state a hundred cycles write nothing, and the owners of fields stay as they are', async () => {
  const target = await settle('steady', [deployment(), service, settings]);
  await untilHealthy(target);
  await pollUntil(async () => ((await see(target, 'Service')).health === 'healthy' ? true : undefined), 'the Service to have endpoints');
  await port.desired(target, signal());
  const before = { audit: cluster.audit().length, managed: (await live('steady')).metadata.managedFields };
  const desired = await port.desired(target, signal());
  for (let cycle = 0; cycle < 100; cycle += 1) {
    expect(await port.desired(target, signal())).toEqual(desired);
    const seen = await port.observe(target, signal());
    expect(seen).toMatchObject({ status: 'read' });
    // and should somebody order it nevertheless, nothing differs and nothing is written
    if (cycle % 20 === 0)
      for (const { ref } of desired.status === 'read' ? desired.objects : [])
        expect(await port.apply(target, { op: 'reapply', object: ref }, applying(`again-${cycle}`))).toMatchObject({ kind: 'unchanged' });
  }
  expect(writesIn(cluster.audit().slice(before.audit))).toEqual([]);
  expect((await live('steady')).metadata.managedFields).toEqual(before.managed);
});

test('what is desired is in the form that the cluster keeps, without its defaults', async () => {
  const target = await settle('normal');
  const desired = await port.desired(target, signal());
  const [only] = desired.status === 'read' ? desired.objects : [];
  expect(only?.state).toMatchObject({ spec: { template: { spec: { containers: [{ resources: { limits: { cpu: '1' } } }] } } } });
  expect(only?.state).not.toHaveProperty('spec.strategy');
  expect(only?.state).not.toHaveProperty('spec.template.spec.containers.0.terminationMessagePath');
});

test('manifests that the cluster refuses, or that lie elsewhere, are unreadable and not empty', async () => {
  await cluster.openNamespace('broken');
  const desired = (manifest: object) => port.desired(kubernetesTarget('broken', kubeconfig, [manifest]), signal());
  const without = deployment();
  without.spec.selector.matchLabels = { app: 'other' };
  expect(await desired(without)).toMatchObject({ status: 'unreadable', message: expect.stringContaining('Deployment/broken/web') });
  expect(await desired({ ...settings, metadata: { name: 'a', namespace: 'kube-system' } })).toMatchObject({ status: 'unreadable' });
});

test('a Deployment that was deleted by hand is made again, and an image that was edited by hand is put back, without force', async () => {
  const target = await settle('hands');
  await cluster.send('DELETE', '/apis/apps/v1/namespaces/hands/deployments/web');
  await pollUntil(async () => {
    const seen = await port.observe(target, signal());
    return seen.status === 'read' && seen.objects.length === 0 ? true : undefined;
  }, 'the Deployment to be gone');
  const operation: Operation = { op: 'reapply', object: refOf('hands', 'Deployment', 'web') };
  expect(await port.dryRun(target, operation, signal())).toMatchObject({ ok: true });
  expect(await port.apply(target, operation, applying('again', { kind: 'absent' }))).toMatchObject({ kind: 'applied' });
  await byHand('hands', [setImage('registry.test/web:2')]);
  const edited = await see(target);
  expect(edited.owners.find(({ paths }) => paths.includes(imagePath))).toMatchObject({ manager: 'kubectl-edit' });
  expect(await port.dryRun(target, operation, signal())).toEqual({
    ok: true,
    diff: [{ path: imagePath, before: 'registry.test/web:2', after: 'registry.test/web:1' }],
  });
  expect(await port.apply(target, operation, applying('image', preconditionOf(edited)))).toMatchObject({ kind: 'applied' });
  expect((await live('hands')).spec.template.spec.containers[0].image).toBe('registry.test/web:1');
});

test('fields that an autoscaler owns, that are ignored, held or declared by another survive while a sibling is mended; force is never sent', async () => {
  const target = await settle(
    'owners',
    [
      deployment({
        env: [
          { name: 'LEVEL', value: 'info' },
          { name: 'MODE', value: 'a' },
        ],
      }),
    ],
    {
      ignore: [{ path: '/spec/template/spec/containers/*/env/0/value' }],
    },
  );
  const scale = { apiVersion: 'autoscaling/v1', kind: 'Scale', metadata: { name: 'web', namespace: 'owners' }, spec: { replicas: 4 } };
  await cluster.send('PUT', '/apis/apps/v1/namespaces/owners/deployments/web/scale?fieldManager=kube-controller-manager', scale);
  await byHand('owners', [
    { op: 'replace', path: '/spec/template/spec/containers/0/env/0/value', value: 'debug' },
    { op: 'replace', path: '/spec/template/spec/containers/0/env/1/value', value: 'b' },
    { op: 'replace', path: '/spec/template/spec/containers/0/resources/limits/memory', value: '256Mi' },
    setImage('registry.test/web:2'),
  ]);
  const held = { ...target, holds: [{ object: '', path: '/spec/template/spec/containers/0/resources' }] };
  const operation: Operation = { op: 'reapply', object: refOf('owners', 'Deployment', 'web') };
  expect(await port.apply(held, operation, applying('sibling'))).toMatchObject({ kind: 'applied', at: expect.any(String) });
  const { spec } = await live('owners');
  expect(spec.replicas).toBe(4);
  expect(spec.template.spec.containers[0]).toMatchObject({
    image: 'registry.test/web:1',
    env: [{ value: 'debug' }, { value: 'a' }],
    resources: { limits: { memory: '256Mi' } },
  });
  // another applier that takes over what we declare has it from then on
  const theirs = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: { minReadySeconds: 7, template: { spec: { containers: [{ name: 'web', image: 'registry.test/web:2' }] } } },
  };
  await cluster.send(
    'PATCH',
    '/apis/apps/v1/namespaces/owners/deployments/web?fieldManager=argocd&force=true',
    theirs,
    'application/apply-patch+yaml',
  );
  expect(await port.apply(held, operation, applying('contested'))).toMatchObject({ kind: 'failed', reason: 'conflict' });
  expect((await live('owners')).spec.template.spec.containers[0].image).toBe('registry.test/web:2');
  expect(cluster.audit().length).toBeGreaterThan(0);
  expect(cluster.audit().filter(({ requestURI }) => /[?&]force=/.test(requestURI))).toEqual([]);
});

test('somebody who edits between plan and apply keeps the edit; a change of status alone is no edit', async () => {
  const target = await settle('between');
  const planned = await see(target); // its status goes on changing while the pods come up
  const scale: Operation = { op: 'setImage', object: planned.ref, container: container.name, image: 'registry.test/web:2' };
  await untilHealthy(target);
  expect((await see(target)).version).not.toBe(planned.version);
  expect(await port.apply(target, scale, applying('first', preconditionOf(planned)))).toMatchObject({ kind: 'applied' });
  const again = await see(target);
  await byHand('between', [{ op: 'add', path: '/spec/minReadySeconds', value: 3 }]);
  const audit = cluster.audit().length;
  const back: Operation = { op: 'reapply', object: planned.ref };
  expect(await port.apply(target, back, applying('second', preconditionOf(again)))).toMatchObject({
    kind: 'failed',
    reason: 'precondition',
  });
  expect(writesIn(cluster.audit().slice(audit))).toEqual([]);
  expect((await live('between')).spec).toMatchObject({
    minReadySeconds: 3,
    template: { spec: { containers: [{ image: 'registry.test/web:2' }] } },
  });
  expect(await port.apply(target, back, { ...applying('third'), holdsFence: async () => false })).toMatchObject({
    kind: 'failed',
    reason: 'fenced',
  });
});

test('each operation is undone exactly: the hash is what it was, and what was made is gone', async () => {
  const target = await settle('undo');
  const object = refOf('undo', 'Deployment', 'web');
  const operations: Operation[] = [
    { op: 'setImage', object, container: 'web', image: 'registry.test/web:2' },
    { op: 'scale', object, replicas: 3 },
    { op: 'restart', object },
    { op: 'setResources', object, container: 'web', memoryLimit: '256Mi' },
    { op: 'setProbe', object, container: 'web', probe: 'readiness', port: 9090 },
    { op: 'setSecretKey', object, container: 'web', variable: 'TOKEN', secret: 'tokens', key: 'new' },
    { op: 'patchField', object, path: '/metadata/annotations/note', value: 'x' },
  ];
  for (const operation of operations) {
    const before = await see(target);
    const dry = await port.dryRun(target, operation, signal());
    expect(dry).toMatchObject({ ok: true, diff: expect.arrayContaining([expect.objectContaining({ path: expect.any(String) })]) });
    const done = await port.apply(target, operation, applying(`do-${operation.op}`, preconditionOf(before)));
    if (done.kind !== 'applied') throw new Error(`${operation.op}: ${JSON.stringify(done)}`);
    expect(done.hash).not.toBe(before.hash);
    // the same once more, as after a kill: it is found done
    expect(await port.apply(target, operation, applying(`do-${operation.op}`, preconditionOf(before)))).toMatchObject({ kind: 'applied' });
    const undo: Operation = { op: 'restore', object, stateDigest: digestOfState(before.state) };
    const undone = applying(`undo-${operation.op}`, { kind: 'version', version: done.version, hash: done.hash, uid: done.uid }, [
      before.state,
    ]);
    expect(await port.apply(target, undo, undone)).toMatchObject({ kind: 'applied', hash: before.hash });
    expect((await see(target)).hash).toBe(before.hash);
  }
  const made = await see(target);
  expect(await port.apply(target, { op: 'remove', object, uid: 'of-another' }, applying('r1'))).toMatchObject({ kind: 'failed' });
  expect(await port.apply(target, { op: 'remove', object, uid: made.uid }, applying('r2'))).toMatchObject({ kind: 'applied' });
});

test('only what we made and nobody declares is pruned, and only where the target says so', async () => {
  const target = await settle('prune', [deployment(), settings]);
  const rest = kubernetesTarget('prune', kubeconfig, [deployment()], { prune: true });
  const object = refOf('prune', 'ConfigMap', 'settings');
  expect(await see(rest, 'ConfigMap', 'settings')).toMatchObject({ isOurs: true });
  await cluster.send('POST', '/api/v1/namespaces/prune/configmaps', { metadata: { name: 'theirs' }, data: {} });
  const prune = (of: KubernetesTarget, name: string, more: object = {}) =>
    port.apply(of, { op: 'prune', object: { ...object, name } }, { ...applying(`prune-${name}-${of.spec.prune}`), ...more });
  expect(await prune(target, 'settings')).toMatchObject({ kind: 'failed', reason: 'refused' });
  expect(await prune(rest, 'theirs')).toMatchObject({ kind: 'failed', reason: 'refused' });
  const before = await see(rest, 'ConfigMap', 'settings');
  expect(await prune(rest, 'settings')).toMatchObject({ kind: 'applied', hash: '' });
  // by anybody's hand it is gone; tried again after a kill it counts as our doing, which can be undone
  expect(await prune(rest, 'settings')).toMatchObject({ kind: 'unchanged' });
  expect(await prune(rest, 'settings', { isRetry: true })).toMatchObject({ kind: 'applied', hash: '' });
  const undo: Operation = { op: 'restore', object, stateDigest: digestOfState(before.state) };
  expect(await port.apply(rest, undo, applying('undo-prune', { kind: 'absent' }, [before.state]))).toMatchObject({ kind: 'applied' });
  expect((await see(rest, 'ConfigMap', 'settings')).hash).toBe(before.hash);
  const elsewhere: Operation = { op: 'reapply', object: { ...object, namespace: 'kube-system' } };
  expect(await port.apply(rest, elsewhere, applying('elsewhere'))).toMatchObject({ kind: 'failed', reason: 'refused' });
});

test('an API server that fails half of the time, throttles, refuses, hangs up or is away makes all unknown, writes nothing, and is seen again at once', async () => {
  const target = await settle('faults', [deployment(), settings], {}, throughProxy);
  const audit = cluster.audit().length;
  const reason = async () => {
    const seen = await port.observe(target, signal());
    return seen.status === 'unknown' ? seen.reason : `${seen.objects.length} objects`;
  };
  expect(await reason()).toBe('2 objects');
  let turn = 0;
  proxy.set(() => {
    turn += 1;
    return turn % 2 ? { status: 503 } : 'pass';
  });
  for (let cycle = 0; cycle < 5; cycle += 1) expect(await reason()).toBe('unreachable');
  proxy.set(() => ({ status: 429, retryAfterSeconds: 1 }));
  expect(await reason()).toBe('throttled');
  expect(await port.dryRun(target, { op: 'restart', object: refOf('faults', 'Deployment', 'web') }, signal())).toMatchObject({
    ok: false,
    reason: 'unreachable',
  });
  proxy.set(({ url }) => (url?.includes('configmaps') ? { status: 403 } : 'pass'));
  expect(await reason()).toBe('refused');
  proxy.set(() => 'cut');
  expect(await reason()).toBe('unreachable');
  expect(await port.apply(target, { op: 'restart', object: refOf('faults', 'Deployment', 'web') }, applying('cut'))).toMatchObject({
    kind: 'unknown',
  });
  proxy.set(() => 'pass');
  expect(await reason()).toBe('2 objects');
  expect(writesIn(cluster.audit().slice(audit))).toEqual([]);
});

test('an API server that lies, by an empty list, an old one or half of one, has nothing made, deleted or overwritten', async () => {
  const target = await settle('lies', [deployment(), settings], { prune: true }, throughProxy);
  await untilHealthy(target);
  const audit = cluster.audit().length;
  const object = refOf('lies', 'Deployment', 'web');
  let old = '';
  const lists = (instead: (answer: string) => string) =>
    proxy.set(({ method, url }) => (method === 'GET' && /\/deployments(\?|$)/.test(url ?? '') ? { instead } : 'pass'));
  const looked = async () => {
    const seen = await port.observe(target, signal());
    return seen.status === 'read' ? seen.objects.filter(({ ref }) => ref.kind === 'Deployment') : seen.status;
  };
  lists((answer) => {
    old = answer;
    return JSON.stringify({ ...JSON.parse(answer), items: [] });
  });
  expect(await looked(), 'believed, because it cannot be told from the truth').toEqual([]);
  const made = await port.apply(target, { op: 'reapply', object }, applying('lie-empty', { kind: 'absent' }));
  expect(made, 'the object itself says that it is there').toMatchObject({ kind: 'failed', reason: 'precondition' });

  await byHand('lies', [setImage('registry.test/web:2')]);
  lists(() => old);
  const stale = await see(target);
  expect(stale.state).toMatchObject({ spec: { template: { spec: { containers: [{ image: 'registry.test/web:1' }] } } } });
  for (const operation of [
    { op: 'restart', object },
    { op: 'reapply', object },
  ] as const)
    expect(
      await port.apply(target, operation, applying(`lie-old-${operation.op}`, preconditionOf(stale))),
      'made for another version',
    ).toMatchObject({ kind: 'failed', reason: 'precondition' });

  lists((answer) => answer.slice(0, answer.length / 2));
  expect(await looked()).toBe('unknown');
  proxy.set(() => 'pass');
  expect(writesIn(cluster.audit().slice(audit))).toEqual([]);
  expect((await live('lies')).spec.template.spec.containers[0].image, 'as people left it').toBe('registry.test/web:2');
});

test('a write whose answer is lost is found done, and is not done twice', async () => {
  const target = await settle('lost', [deployment()], {}, throughProxy);
  await untilHealthy(target); // until then the controllers write its status, and the write that is lost may be one that was refused
  const restart: Operation = { op: 'restart', object: refOf('lost', 'Deployment', 'web') };
  const audit = cluster.audit().length;
  proxy.set(({ method }) => (method === 'PATCH' ? 'lose' : 'pass'));
  expect(await port.apply(target, restart, applying('lost-once'))).toMatchObject({ kind: 'applied' });
  proxy.set(() => 'pass');
  expect(await port.apply(target, restart, applying('lost-once'))).toMatchObject({ kind: 'applied' });
  expect(writesIn(cluster.audit().slice(audit))).toHaveLength(1);
});

test('a watch tells of changes, and goes on after it was broken', async () => {
  const target = await settle('watched', [deployment(), settings], {}, throughProxy);
  await untilHealthy(target);
  const stop = new AbortController();
  let told = 0;
  port.watch(
    target,
    () => {
      told += 1;
    },
    stop.signal,
  );
  let tries = 0;
  const change = async (level: string) => {
    const before = told;
    await pollUntil(async () => {
      tries += 1; // a patch that changes nothing is no event
      await cluster.send(
        'PATCH',
        '/api/v1/namespaces/watched/configmaps/settings',
        { data: { level, at: String(tries) } },
        'application/merge-patch+json',
      );
      return told > before ? true : undefined;
    }, `the watch to tell of ${level}`);
  };
  await change('one');
  proxy.cutAll();
  await change('two');
  let isGone = true;
  proxy.set(({ url }) => (isGone && url?.includes('watch=true') ? { status: 410 } : 'pass'));
  proxy.cutAll();
  await pollUntil(() => (told > 2 ? true : undefined), 'a new list after 410');
  isGone = false;
  await change('three');
  stop.abort();
});

test('symptoms are in the words of the field', async () => {
  const target = await settle('ill');
  await untilHealthy(target);
  const change = (patch: object[]) => byHand('ill', patch);
  const at = '/spec/template/spec/containers/0';
  await change([setImage('registry.test/web:none')]);
  await untilSymptom(target, 'ImagePullBackOff');
  await change([setImage('registry.test/web:1'), { op: 'replace', path: `${at}/resources/limits/memory`, value: '32Mi' }]);
  await untilSymptom(target, 'OOMKilled');
  await untilSymptom(target, 'CrashLoopBackOff');
  const missing = { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'tokens', key: 'old' } } };
  await change([
    { op: 'replace', path: `${at}/resources/limits/memory`, value: '128Mi' },
    { op: 'add', path: `${at}/env`, value: [missing] },
  ]);
  await untilSymptom(target, 'CreateContainerConfigError');
  await change([
    { op: 'remove', path: `${at}/env` },
    { op: 'replace', path: `${at}/readinessProbe/httpGet/port`, value: 9999 },
  ]);
  await untilSymptom(target, 'NotReady');
  await change([{ op: 'add', path: '/spec/template/spec/nodeSelector', value: { disk: 'none' } }]);
  await untilSymptom(target, 'Unschedulable');
});

test('a Service whose selector finds nobody has no endpoints; of a Secret only the names of its keys are seen', async () => {
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'tokens' }, stringData: { new: 'what-nobody-may-see' } };
  const target = await settle('seen', [deployment(), { ...service, spec: { ...service.spec, selector: { app: 'nobody' } } }, secret]);
  await untilSymptom(target, 'NoEndpoints', 'Service');
  const all = JSON.stringify([await port.observe(target, signal()), await port.desired(target, signal())]);
  expect(all).not.toContain(Buffer.from('what-nobody-may-see').toString('base64'));
  expect(all).not.toContain('what-nobody-may-see');
  expect((await see(target, 'Secret', 'tokens')).state).toMatchObject({ data: { new: '' } });
});
