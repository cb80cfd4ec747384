import { pollUntil } from '../poll-until.ts';
import type { KubeApiServer } from './start-api-server.ts';

/** The custom resource of the bench: what an operator of somebody else's keeps, with a finalizer. */
const toolhostDefinition = {
  metadata: { name: 'toolhosts.bench.quarterdeck.dev' },
  spec: {
    group: 'bench.quarterdeck.dev',
    scope: 'Namespaced',
    names: { plural: 'toolhosts', singular: 'toolhost', kind: 'Toolhost' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
              status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
            },
          },
        },
      },
    ],
  },
};

export const defineToolhosts = async ({ send }: Pick<KubeApiServer, 'send'>): Promise<void> => {
  await send('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', toolhostDefinition);
  const isServed = () =>
    send('GET', '/apis/bench.quarterdeck.dev/v1/toolhosts').then(
      () => true,
      () => undefined,
    );
  await pollUntil(isServed, 'the kind Toolhost to be served');
};
