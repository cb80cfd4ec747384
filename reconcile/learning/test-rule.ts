import type { ReconcileRuleSpec } from '../../schema/resources/reconcile-rule.ts';
import { canonicalText } from '../canonical-text.ts';
import { fillOperations, type UserRule } from '../choose-rule.ts';

export type RuleTestResult = { name: string; ok: boolean; wanted: string; got: string };

/** Holds a rule against its own cases, whatever state it is in. @param matches - its compiled `match` */
export const testRule = (spec: ReconcileRuleSpec, matches: UserRule['matches'], target: { name: string; type: string }): RuleTestResult[] =>
  spec.tests.map(({ name, drift, object, operations }) => {
    const got = matches({ drift, target, object }) ? fillOperations(spec, drift) : [];
    const [wanted, said] = [canonicalText(operations), got === undefined ? 'operations that do not fit the union' : canonicalText(got)];
    return { name, ok: wanted === said, wanted, got: said };
  });
