import type { RealModel } from '../../bench/reconcile/model-names.ts';
import { usageError } from '../output/cli-error.ts';

export type RealModelOptions = { model?: string; modelUrl?: string; modelKey?: string; modelPrice?: string };

/** Where a key is by its usual name; whoever has another provider says `--model-key`. */
const usualKeys: Readonly<Record<string, string>> = {
  'api.openai.com': 'OPENAI_API_KEY',
  // its layer for clients of OpenAI's SDK: https://docs.claude.com/en/api/openai-sdk
  'api.anthropic.com': 'ANTHROPIC_API_KEY',
};
const usualUrl = 'https://api.openai.com/v1';

const urlOf = (text: string): URL => {
  const url = URL.parse(text);
  if (url && ['http:', 'https:'].includes(url.protocol)) return url;
  throw usageError(`--model-url ${text} is no URL`, 'give the base of the API, such as https://api.openai.com/v1');
};

/** `2.50,10`: dollars for a million tokens that go in and that come out. */
const priceOf = (text: string | undefined): RealModel['price'] => {
  if (text === undefined) return { inputMicroUsdPerMillion: 0, outputMicroUsdPerMillion: 0 };
  const [input, output, ...more] = text.split(',').map(Number);
  const isPrice = (value: number | undefined): value is number => value !== undefined && Number.isFinite(value) && value >= 0;
  if (!isPrice(input) || !isPrice(output) || more.length > 0)
    throw usageError(`--model-price ${text} is not two prices`, 'give dollars for a million tokens in and out, such as 2.50,10');
  return { inputMicroUsdPerMillion: Math.round(input * 1_000_000), outputMicroUsdPerMillion: Math.round(output * 1_000_000) };
};

/**
 * Reads which real model answers. Its key is named and never taken: the gateway of the run reads it from the environment, as any provider's.
 * @returns undefined where none is named
 * @throws {CliError} where something is missing or cannot be read
 */
export const readRealModel = (
  { model, modelUrl, modelKey, modelPrice }: RealModelOptions,
  environment: Readonly<Record<string, string | undefined>>,
): RealModel | undefined => {
  if (model === undefined) {
    if (modelUrl ?? modelKey ?? modelPrice)
      throw usageError('--model-url, --model-key and --model-price are about --model', 'name the model too');
    return undefined;
  }
  const url = urlOf(modelUrl ?? usualUrl);
  const keyVariable = modelKey ?? usualKeys[url.hostname];
  if (keyVariable === undefined)
    throw usageError(
      `it is not known which environment variable has the key for ${url.hostname}`,
      'name it with --model-key, such as --model-key MY_PROVIDER_KEY',
    );
  if (!environment[keyVariable])
    throw usageError(
      `there is no key for ${model} at ${url.hostname}`,
      `set the environment variable ${keyVariable}, or name another with --model-key`,
    );
  return { model, baseUrl: url.href.replace(/\/$/, ''), keyVariable, price: priceOf(modelPrice) };
};
