import { z } from 'zod';
import { ReconcileRuleSpecSchema } from '../resources/reconcile-rule.ts';

const common = { name: z.string(), description: z.string(), cap: z.object({ times: z.number(), withinSeconds: z.number() }) };

/** A rule as `reconcile rules` shows it. `builtIn` ones are part of the product; of the others `digest` is what a reviewer promotes. */
export const RuleViewSchema = z.discriminatedUnion('origin', [
  z.object({ origin: z.literal('builtIn'), ...common }),
  z.object({
    origin: z.enum(['declared', 'learned']),
    ...common,
    spec: ReconcileRuleSpecSchema,
    digest: z.string(),
    /** Tests that do not hold, in words. */
    red: z.array(z.string()),
  }),
]);
export type RuleView = z.infer<typeof RuleViewSchema>;
export type DeclaredRuleView = Exclude<RuleView, { origin: 'builtIn' }>;

/** What `POST …/rules/NAME/promote` takes: the digest of the rule that the person looked at. */
export const PromoteRuleSchema = z.strictObject({
  digest: z.string().regex(/^[0-9a-f]{64}$/, 'the digest that `quarterdeck reconcile rules show` prints, 64 characters'),
});
export const DemoteRuleSchema = z.strictObject({ reason: z.string().min(1).max(300) });
