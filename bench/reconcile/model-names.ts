/** Who answers what no rule knows; `real` is whichever model somebody names with its provider. */
export const modelNames = ['expert', 'wrong-fix', 'garbage', 'flap', 'tiny', 'real'] as const;
export type ModelName = (typeof modelNames)[number];

/** A model of somebody's provider, behind any address that speaks the API of OpenAI's chat completions. */
export type RealModel = {
  /** As the provider names it. */
  model: string;
  baseUrl: string;
  /** The environment variable with the key, which the gateway alone reads. */
  keyVariable: string;
  price: { inputMicroUsdPerMillion: number; outputMicroUsdPerMillion: number };
};
