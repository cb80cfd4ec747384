import { describe, expect, test } from 'vitest';
import { currentPlatform } from '../../policy/assemble-policies.ts';
import { failedPlatformGolden, guardCases, permitCases } from '../../policy/platform-golden.ts';

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
      // the rule alone stood in the way: without it the call would go through, and without a permit nothing would
      expect(failed.every(({ expect: wanted, found }) => wanted !== found)).toBe(true);
    }
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
