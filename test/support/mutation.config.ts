import { defineConfig } from 'vitest/config';

/**
 * The tests of the policies on sources from which one rule is taken away, which `WITHOUT_RULE` names: a policy of the platform, or
 * `template/LIST`. `test/support/mutate-guards.ts` runs it for each.
 */
const rule = process.env.WITHOUT_RULE ?? '';
const isTemplate = rule.startsWith('template/');
const mutation = isTemplate
  ? `const changed = bindingTemplates as Record<string, string>; changed[${JSON.stringify(rule.slice('template/'.length))}] = changed[${JSON.stringify(rule.slice('template/'.length))}].replace(/;$/, ' when { false };');`
  : `delete (platformPolicies as Record<string, string>)[${JSON.stringify(rule)}];`;

export default defineConfig({
  plugins: [
    {
      name: 'without-rule',
      enforce: 'pre',
      transform: (code, id) => (id.endsWith('/policy/platform-policies.ts') ? `${code}\n${mutation}` : undefined),
    },
  ],
  // a changed source must not be kept for a run that has it as it is
  test: { include: ['test/policy/{platform-golden,engine,reference-gate}.test.ts'], testTimeout: 300_000, fsModuleCache: false },
});
