import { z } from 'zod';
import { SecrecySchema } from '../flow-label.ts';
import { NameSchema } from '../ids.ts';
import { SecretReferenceSchema } from './metadata.ts';
import { mostRates, RateSchema } from './rate.ts';
import { ResultFilterSchema } from './result-filter.ts';

/** A model provider and the reference of its key: any OpenAI-compatible URL, or the small model that runs on this machine. */
export const ProviderSpecSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('openai-compatible'),
    baseUrl: z.url({ protocol: /^https?$/ }),
    apiKey: SecretReferenceSchema.optional(),
    timeoutSeconds: z.number().int().min(1).max(3600).default(120),
  }),
  z.strictObject({ kind: z.literal('local'), timeoutSeconds: z.number().int().min(1).max(3600).default(300) }),
]);
export type ProviderSpec = z.infer<typeof ProviderSpecSchema>;

/** One provider's model behind an alias; prices are micro-dollars per million tokens. */
export const ModelRouteSchema = z.strictObject({
  provider: NameSchema,
  model: z.string().min(1).max(256),
  price: z
    .strictObject({
      inputMicroUsdPerMillion: z.number().int().min(0).max(1e12),
      outputMicroUsdPerMillion: z.number().int().min(0).max(1e12),
    })
    .default({ inputMicroUsdPerMillion: 0, outputMicroUsdPerMillion: 0 }),
});

/**
 * An alias over ordered routes: the next one is tried when one cannot be reached, before the first token only.
 * `maxSecrecy` is the most secret that its providers may be told, where what runs read has labels: 0 public … 3 restricted.
 * `decoding: constrained` says that answers are held to a JSON schema by a grammar; `quality: tiny` labels what is made with it.
 */
export const ModelSpecSchema = z.strictObject({
  routes: z.array(ModelRouteSchema).min(1).max(8),
  decoding: z.enum(['native', 'constrained']).default('native'),
  quality: z.enum(['tiny', 'standard']).default('standard'),
  contextTokens: z.number().int().min(512).max(10_000_000).default(32_768),
  maxOutputTokens: z.number().int().min(16).max(1_000_000).default(2048),
  temperature: z.number().min(0).max(2).optional(),
  /** What is done to its answers, streamed ones too. */
  filter: ResultFilterSchema.optional(),
  rates: z.array(RateSchema).max(mostRates).optional(),
  maxSecrecy: SecrecySchema.optional(),
});
export type ModelSpec = z.infer<typeof ModelSpecSchema>;
