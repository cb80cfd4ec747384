import { expect, test } from 'vitest';
import { validatePolicies } from '../../control/api/validate-policies.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { loadExample, ofKind } from './load-example.ts';

test('the golden decisions of the survey are as they should be, and its policies name nothing that is not declared', () => {
  const declared = loadExample('survey');
  const policySets = ofKind(declared, 'PolicySet');
  const policies = {
    policySets: policySets.map(({ metadata, spec }) => ({ name: metadata.name, cedar: spec.cedar })),
    bindings: ofKind(declared, 'AccessBinding').map(({ metadata, spec }) => ({ name: metadata.name, spec })),
  };
  const report = validatePolicies(defaultTenancy, { ok: true, tried: policies, today: policies, policySets, declared });
  expect(report).toMatchObject({ platform: [], warnings: [] });
  expect(report.golden.map(({ expect: wanted, found, error }) => ({ wanted, found, error }))).toEqual([
    { wanted: 'allow', found: 'allow', error: null },
    { wanted: 'deny', found: 'deny', error: null },
    { wanted: 'deny', found: 'deny', error: null },
  ]);
});
