import type { RealModel } from './model-names.ts';

/** The one of this machine: it proves the path and the guards, not the quality. */
const tinyModel = {
  kind: 'Model',
  metadata: { name: 'tiny' },
  spec: {
    routes: [{ provider: 'local', model: 'smollm2-135m-instruct' }],
    ...{ decoding: 'constrained', quality: 'tiny', contextTokens: 4096, maxOutputTokens: 640, temperature: 0.5 },
  },
};

const providerOf = ({ baseUrl, keyVariable }: RealModel) => ({
  kind: 'Provider',
  metadata: { name: 'real' },
  spec: { kind: 'openai-compatible', baseUrl, apiKey: { env: keyVariable } },
});
const realModel = ({ model, price }: RealModel) => ({
  kind: 'Model',
  metadata: { name: 'real' },
  spec: { routes: [{ provider: 'real', model, price }], contextTokens: 128_000, maxOutputTokens: 8000 },
});

/** What the platform is told before targets are declared: the models of the bench behind one provider, and a read-only role for each. */
export const keeperNeeds = (
  modelsUrl: string,
  models: readonly string[],
  real?: RealModel,
): { metadata: object; [member: string]: unknown }[] => [
  { kind: 'Provider', metadata: { name: 'bench' }, spec: { kind: 'openai-compatible', baseUrl: modelsUrl } },
  ...(models.includes('tiny') ? [{ kind: 'Provider', metadata: { name: 'local' }, spec: { kind: 'local' } }] : []),
  ...(real ? [providerOf(real)] : []),
  ...models.flatMap((model) => [
    model === 'tiny'
      ? tinyModel
      : model === 'real' && real
        ? realModel(real)
        : {
            kind: 'Model',
            metadata: { name: model },
            spec: {
              routes: [{ provider: 'bench', model, price: { inputMicroUsdPerMillion: 1_000_000, outputMicroUsdPerMillion: 5_000_000 } }],
              contextTokens: 128_000,
              maxOutputTokens: 2000,
            },
          },
    {
      kind: 'AgentRole',
      metadata: { name: `diagnose-${model}` },
      spec: {
        instructions: 'Find out what is wrong, and propose as little as mends it.',
        model,
        limits: { steps: 6, tokens: 1_000_000 },
        output: { type: 'object' },
      },
    },
    {
      kind: 'AccessBinding',
      metadata: { name: `diagnose-${model}` },
      spec: { subjects: [{ agentRole: `diagnose-${model}` }], models: [model] },
    },
  ]),
  {
    kind: 'AccessBinding',
    metadata: { name: 'declares' },
    spec: { subjects: [{ person: 'admin' }], agentRoles: models.map((model) => `diagnose-${model}`) },
  },
];
