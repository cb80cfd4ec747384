import { operationHomes } from '../../reconcile/check/operation-homes.ts';
import { testRule } from '../../reconcile/learning/test-rule.ts';
import { compileMatch } from '../../reconcile/rules/compile-match.ts';
import { userRuleOf } from '../../reconcile/rules/user-rule.ts';
import type { ReconcileRuleSpec } from '../../schema/resources/reconcile-rule.ts';
import type { ResourceIssue } from '../../schema/validate-resource.ts';

/** For tests, which are about no target in particular. */
const anyTarget = { name: 'any', type: 'kubernetes' };

/** Tests of a rule that do not hold, in words. */
export const redTests = (spec: ReconcileRuleSpec): string[] =>
  testRule(spec, userRuleOf('rule', spec).matches, anyTarget)
    .filter(({ ok }) => !ok)
    .map(({ name, wanted, got }) => `the test "${name}" wants ${wanted} and gets ${got}`);

/** What the schema cannot say of a rule: whether its CEL can be evaluated, its operations exist, and, where it is live, its tests hold. */
export const ruleIssues = (spec: ReconcileRuleSpec): ResourceIssue[] => {
  const compiled = compileMatch(spec.match);
  if (!compiled.ok) {
    const where = compiled.line === undefined ? '' : ` (line ${compiled.line}, column ${compiled.column})`;
    return [{ path: ['spec', 'match'], message: `expected CEL that says true or false: ${compiled.message}${where}` }];
  }
  const unknown = spec.operations.flatMap(({ op }, index): ResourceIssue[] =>
    Object.hasOwn(operationHomes, op)
      ? []
      : [{ path: ['spec', 'operations', index, 'op'], message: `expected one of ${Object.keys(operationHomes).join(', ')}` }],
  );
  if (unknown.length > 0 || spec.state !== 'live') return unknown;
  return redTests(spec).map((message) => ({ path: ['spec', 'tests'], message: `expected tests that hold: ${message}` }));
};
