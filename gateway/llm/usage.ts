import { z } from 'zod';
import type { ModelSpec } from '../../schema/resources/model.ts';

type Price = ModelSpec['routes'][number]['price'];
export type Usage = { inputTokens: number; outputTokens: number };
/** What a call cost; `isEstimated` where the provider did not say. */
export type Spent = Usage & { costMicroUsd: number; isEstimated: boolean };

/** More than any model takes; a larger number is a fault, and would not fit the ledger. */
const tokens = z.int().min(0).max(1_000_000_000);
const UsageSchema = z.looseObject({ prompt_tokens: tokens, completion_tokens: tokens.nullish(), total_tokens: tokens.nullish() });

/** Reads the `usage` of an answer or of a chunk; undefined where there is none that makes sense. */
export const readUsage = (value: unknown): Usage | undefined => {
  const result = UsageSchema.safeParse(value);
  if (!result.success) return undefined;
  const { prompt_tokens: inputTokens, completion_tokens: completion, total_tokens: total } = result.data;
  // some providers count what a model thinks in the total alone, and charge for it
  return { inputTokens, outputTokens: Math.max(completion ?? 0, (total ?? 0) - inputTokens) };
};

const perMillion = 1_000_000n;

/** @returns micro-dollars, rounded up; prices are micro-dollars per million tokens */
export const costOf = ({ inputTokens, outputTokens }: Usage, price: Price): number => {
  // their product may be past what a number holds exactly
  const total = BigInt(inputTokens) * BigInt(price.inputMicroUsdPerMillion) + BigInt(outputTokens) * BigInt(price.outputMicroUsdPerMillion);
  return Number((total + perMillion - 1n) / perMillion);
};

export const spentOf = (usage: Usage, price: Price, isEstimated: boolean): Spent => ({
  ...usage,
  costMicroUsd: costOf(usage, price),
  isEstimated,
});
