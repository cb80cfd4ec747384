import { z } from 'zod';
import type { PolicyEffect } from './decision-basis.ts';
import { RecordedWindowSchema } from './policy-backtest.ts';

const documents = z.array(z.unknown()).min(1).max(1000);

/** What `policy validate` and `policy test` ask. */
export const ValidateRequestSchema = z.strictObject({ documents });

/** A golden decision with what the policies make of it. */
export type GoldenResult = {
  policySet: string;
  name: string;
  expect: PolicyEffect;
  found: PolicyEffect;
  policies: string[];
  error: string | null;
};

/** Whether a golden decision is not made as it has to be; one that cannot be asked is not, whatever it expects. */
export const isRed = ({ expect, found, error }: Pick<GoldenResult, 'expect' | 'found' | 'error'>): boolean =>
  expect !== found || error !== null;

/** What is found of policies that parse and fit the schema. */
export type ValidationReport = {
  policies: number;
  /** The Rego of the project's PolicySets as it was compiled; `bundle` is the digest of its WebAssembly. */
  rego: { policySet: string; compiler: string; bundle: string }[];
  golden: GoldenResult[];
  /** Golden decisions of the platform that these policies would break; none, unless the platform itself is broken. */
  platform: { name: string; policies: string[] }[];
  warnings: { policySet: string; line: number; message: string }[];
};

/** What `policy publish` asks: `acceptFlips` when a person has seen which recorded calls would be decided otherwise. */
export const PublishRequestSchema = z.strictObject({
  documents,
  ...RecordedWindowSchema.shape,
  acceptFlips: z.boolean().default(false),
});
export type PublishRequest = z.infer<typeof PublishRequestSchema>;

export type Publication = { version: number; policySets: string[]; flipped: number; publishedBy: string };
