import type { ReconcileRuleSpec } from '../../schema/resources/reconcile-rule.ts';
import type { UserRule } from '../choose-rule.ts';
import { compileMatch } from './compile-match.ts';

/** A rule that people declared, as `chooseRule` takes it: what cannot be compiled or evaluated does not match. */
export const userRuleOf = (name: string, spec: ReconcileRuleSpec): UserRule => {
  const compiled = compileMatch(spec.match);
  const matches: UserRule['matches'] = (facts) => {
    const matched = compiled.ok ? compiled.evaluate(facts) : undefined;
    return matched?.ok === true && matched.value;
  };
  const failure: UserRule['failure'] = (facts) => {
    if (!compiled.ok) return compiled.message;
    const matched = compiled.evaluate(facts);
    return matched.ok ? undefined : matched.message;
  };
  return { name, spec, matches, failure };
};
