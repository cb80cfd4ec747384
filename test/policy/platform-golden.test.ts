import { describe, expect, test } from 'vitest';
import { currentPlatform } from '../../policy/assemble-policies.ts';
import { guardCases } from '../../policy/golden-guard-cases.ts';
import { permitCases } from '../../policy/golden-permit-cases.ts';
import { failedPlatformGolden } from '../../policy/platform-golden.ts';

const { policies, templates } = currentPlatform;
const ruleIds = Object.keys(policies);
const never = (text: string): string => text.replace(/;$/, ' when { false };');

describe('the golden decisions of the platform', () => {
  test('are as they should be, one at least for each rule', () => {
    expect(failedPlatformGolden()).toEqual([]);
    const covered = new Set([...guardCases, ...permitCases].map(({ rule }) => rule));
    expect(ruleIds.filter((id) => !covered.has(id))).toEqual([]);
    expect([...covered].filter((id) => id?.startsWith('platform/') && !(id in policies))).toEqual([]);
  });

  test('without any one rule at least one is red', { timeout: 300_000 }, () => {
    for (const id of ruleIds) {
      const { [id]: _removed, ...others } = policies;
      const failed = failedPlatformGolden(undefined, { ...currentPlatform, policies: others });
      const cases = [...guardCases, ...permitCases].filter(({ rule }) => rule === id).map(({ name }) => name);
      expect(failed.map(({ name }) => name)).toEqual(cases);
      // of one at least the rule alone stood in the way: without it the call would go through, and without a permit nothing would
      expect(failed.some(({ expect: wanted, found }) => wanted !== found)).toBe(true);
      // in its place one that says the same of the rest is enough, as where two people are asked in the place of one
      const besides = failed.filter(({ expect: wanted, found }) => wanted === found);
      expect(besides.length === 0 || ['platform/fix-attended', 'platform/fix-four-eyes'].includes(id), id).toBe(true);
    }
  });

  // what a rule says of several actions or kinds, or under several conditions, is several guards
  test.each<[string, string, string]>([
    ['same-org-tool', 'Quarterdeck::Action::"listTool", ', ''],
    ['same-org-declared', ', Quarterdeck::Action::"observe"', ''],
    ['same-project-fix', ', Quarterdeck::Action::"applyFix"', ''],
    ['administrators-name-issuers', ', Quarterdeck::Action::"deleteResource"', ''],
    ['administrators-name-issuers', '"Channel", ', ''],
    ['administrators-name-issuers', ', "SigningKey"', ''],
    ['pinned-definition', 'resource.approvedHash != "" && ', ''],
    ['pinned-prompt', 'Quarterdeck::Action::"listPrompt", ', ''],
    ['canonical-arguments', ', Quarterdeck::Action::"readResource"', ''],
    ['sink-read', ' || (context.flow.tainted && context.flow.secrecy > 0)', ''],
    ['fix-attended', '|| !resource.reversible ', ''],
    ['fix-attended', 'context.recentFixes >= 5', 'context.recentFixes >= 6'],
    ['fix-four-eyes', ' || resource.blast >= 4', ''],
    ['fix-four-eyes', ' || (resource.source == "model" && resource.confidence < 40)', ''],
    ['exchange-within-backend', 'context.depth <= 3', 'context.depth <= 4'],
    ['fresh-login', 'authAge > 300', 'authAge > 301'],
  ])('turn red where %s loses `%s`', (rule, part, instead) => {
    const id = `platform/${rule}`;
    const text = policies[id] ?? '';
    expect(text).toContain(part);
    const loosened = { ...currentPlatform, policies: { ...policies, [id]: text.replace(part, instead) } };
    expect(failedPlatformGolden(undefined, loosened)).not.toEqual([]);
  });

  test.each(Object.keys(templates))('turn red where bindings no longer grant %s', (list) => {
    const changed = { ...templates, [list]: never(templates[list as keyof typeof templates]) };
    expect(failedPlatformGolden(undefined, { ...currentPlatform, templates: changed })).toHaveLength(1);
  });

  test('hold beside whatever a tenant permits, and beside what it forbids', () => {
    const policySets = [
      { name: 'open', cedar: 'permit (principal, action, resource) when { principal == principal };' },
      { name: 'closed', cedar: 'forbid (principal, action, resource);' },
    ];
    expect(failedPlatformGolden({ policySets })).toEqual([]);
  });
});
