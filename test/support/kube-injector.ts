import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { KubeApiServer } from './kube-api-server.ts';
import { pollUntil } from './poll-until.ts';

const webhooks = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';

/** A mutating webhook that adds a container to each Deployment at each admission, as injectors of sidecars do; `serve` begins with a namespace. */
export const startInjector = async (
  { send, folder }: Pick<KubeApiServer, 'send' | 'folder'>,
  container: { name: string; image: string },
) => {
  const [cert, key] = ['crt', 'key'].map((end) => readFileSync(join(folder, `apiserver.${end}`), 'utf8'));
  const served: string[] = [];
  const server = createServer({ cert, key }, async (asked, answer) => {
    const chunks: Buffer[] = [];
    for await (const chunk of asked) chunks.push(chunk as Buffer);
    const { request } = JSON.parse(Buffer.concat(chunks).toString());
    const isThere = request.object.spec.template.spec.containers.some(({ name }: { name: string }) => name === container.name);
    const patch = isThere ? [] : [{ op: 'add', path: '/spec/template/spec/containers/-', value: container }];
    const response = {
      uid: request.uid,
      allowed: true,
      patchType: 'JSONPatch',
      patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
    };
    answer.setHeader('content-type', 'application/json');
    answer.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response }));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/mutate`;

  return {
    /** Returns once the API server asks it. */
    serve: async (namespace: string): Promise<void> => {
      served.push(namespace);
      await send('POST', webhooks, {
        metadata: { name: namespace },
        webhooks: [
          {
            name: 'injector.test.quarterdeck.dev',
            clientConfig: { url, caBundle: Buffer.from(cert ?? '').toString('base64') },
            rules: [{ apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['deployments'] }],
            namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
            admissionReviewVersions: ['v1'],
            sideEffects: 'None',
          },
        ],
      });
      const template = { metadata: { labels: { app: 'probe' } }, spec: { containers: [{ name: 'probe', image: 'probe' }] } };
      const probe = { metadata: { name: 'probe' }, spec: { selector: { matchLabels: { app: 'probe' } }, template } };
      await pollUntil(async () => {
        const made = await send('POST', `/apis/apps/v1/namespaces/${namespace}/deployments?dryRun=All`, probe);
        return made.spec.template.spec.containers.length > 1 || undefined;
      }, 'the API server to ask the injector');
    },
    close: async (): Promise<void> => {
      for (const namespace of served) await send('DELETE', `${webhooks}/${namespace}`);
      server.closeAllConnections();
      server.close();
    },
  };
};
