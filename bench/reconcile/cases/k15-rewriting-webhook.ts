import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { DriftCase, Lane } from './drift-case.ts';
import { deploymentOf, editByHand, imageOf, readObject } from './manifests.ts';
import { wrongClusterFix } from './wrong-cluster-fix.ts';

const annotation = '/spec/template/metadata/annotations/sidecar~1revision';

const revision = /^Deployment\/web\/spec\/template\/metadata\/annotations\/sidecar~1revision$/;

/** Answers each admission with another revision of its sidecar, as injectors do that roll their own certificates. */
const startInjector = async ({ tls, later }: Lane): Promise<string> => {
  let revision = 0;
  const server = createServer(tls, async (asked, answer) => {
    const chunks: Buffer[] = [];
    for await (const chunk of asked) chunks.push(chunk as Buffer);
    const { request } = JSON.parse(Buffer.concat(chunks).toString());
    // what is only asked about is answered in the same way, and is another revision too
    revision += 1;
    const patch = Buffer.from(JSON.stringify([{ op: 'replace', path: annotation, value: `r${revision}` }])).toString('base64');
    const response = { uid: request.uid, allowed: true, patchType: 'JSONPatch', patch };
    answer.setHeader('content-type', 'application/json');
    answer.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response }));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  later(() => {
    server.closeAllConnections();
    server.close();
  });
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}/mutate`;
};

const webhooks = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';

export const rewritingWebhook: DriftCase = {
  id: 'K15',
  fault: 'a webhook writes another value at each apply',
  programs: (lane) => ({ [imageOf(lane)]: { port: 8080, memoryMi: 64 } }),
  declare: (lane) => {
    const web = deploymentOf(lane);
    web.spec.template.metadata.annotations = { 'sidecar/revision': 'r0' };
    return [web];
  },
  // what does not come up is not waited for long
  spec: () => ({ verification: { timeoutSeconds: 5, holdSeconds: 1 } }),
  inject: async (lane) => {
    const { namespace, send, tls, later } = lane;
    const url = await startInjector(lane);
    await send('POST', webhooks, {
      metadata: { name: namespace },
      webhooks: [
        {
          name: 'sidecar.bench.quarterdeck.dev',
          clientConfig: { url, caBundle: Buffer.from(tls.cert).toString('base64') },
          rules: [{ apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['deployments'] }],
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
          admissionReviewVersions: ['v1'],
          sideEffects: 'None',
        },
      ],
    });
    later(() => send('DELETE', `${webhooks}/${namespace}`));
    await editByHand(lane, 'Deployment', 'web', { op: 'add', path: '/metadata/labels/touched', value: 'yes' });
  },
  seenAs: /^changed Deployment\/web .*sidecar~1revision/,
  shows: async (lane) => {
    const revision = (await readObject(lane, 'Deployment'))?.spec.template.metadata.annotations['sidecar/revision'];
    return revision !== undefined && revision !== 'r0';
  },
  right: {
    ends: ['fixed', 'asked'],
    operations: () => [{ op: 'addIgnoreRule', path: annotation }],
    changes: revision,
    moves: revision,
    isWell: async () => true,
  },
  wrong: (lane) => wrongClusterFix('K15', lane),
};
