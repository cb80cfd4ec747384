import { expect, test } from 'vitest';
import { validatePolicies } from '../../control/api/validate-policies.ts';
import { createRegoPool } from '../../policy/rego/create-rego-pool.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { loadExample, ofKind } from './load-example.ts';

test('the golden decisions of the survey are as they should be, and its policies name nothing that is not declared', async () => {
  const declared = loadExample('survey');
  const policySets = ofKind(declared, 'PolicySet');
  const policies = {
    policySets: policySets.map(({ metadata, spec }) => ({ name: metadata.name, cedar: spec.cedar })),
    bindings: ofKind(declared, 'AccessBinding').map(({ metadata, spec }) => ({ name: metadata.name, spec })),
  };
  const pool = createRegoPool();
  const candidate = { ok: true as const, tried: policies, today: policies, policySets, documentOf: () => 0, declared };
  const report = await validatePolicies(pool, defaultTenancy, candidate, policies.policySets);
  expect(report).toMatchObject({ platform: [], warnings: [] });
  expect(report.golden.map(({ expect: wanted, found, error }) => ({ wanted, found, error }))).toEqual([
    { wanted: 'allow', found: 'allow', error: null },
    { wanted: 'deny', found: 'deny', error: null },
    { wanted: 'deny', found: 'deny', error: null },
  ]);
});
