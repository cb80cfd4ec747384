import { assemblePolicies, currentPlatform, type PlatformPolicies, type ProjectPolicies } from './assemble-policies.ts';
import { failedGolden, type GoldenCase, type GoldenFailure } from './golden.ts';
import { guardCases } from './golden-guard-cases.ts';
import { permitCases } from './golden-permit-cases.ts';
import { home } from './golden-world.ts';

const subjects = { toolsets: [], models: [], agentRoles: [], fleets: [], subjects: [{ group: 'engineers' }] };
const everyBinding: ProjectPolicies = {
  policySets: [],
  bindings: [{ name: 'b', spec: { ...subjects, toolsets: ['t'], models: ['n'], agentRoles: ['n'], fleets: ['n'] } }],
};

const permitAll = { name: 'golden-permit-all', cedar: 'permit (principal, action, resource);' };

/**
 * The golden decisions of the platform: with any guard taken away, one of them is red. They are asked beside a project's own policies, and
 * a permit of everything, because nothing that a tenant writes may get past a guard.
 */
export const failedPlatformGolden = (
  project: Pick<ProjectPolicies, 'policySets'> = { policySets: [] },
  platform: PlatformPolicies = currentPlatform,
): GoldenFailure[] => {
  const failed = (policies: ProjectPolicies, cases: readonly GoldenCase[]): GoldenFailure[] => {
    const assembled = assemblePolicies(home, policies, platform);
    if (!assembled.ok) throw new Error(assembled.issues[0]?.message);
    return failedGolden(assembled.set, platform.schema, cases);
  };
  return [...failed({ policySets: [...project.policySets, permitAll], bindings: [] }, guardCases), ...failed(everyBinding, permitCases)];
};
