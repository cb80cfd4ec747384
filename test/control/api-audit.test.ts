import { expect, test } from 'vitest';
import { createAuthorizer } from '../../control/api/authorize-with-cedar.ts';
import { createPolicyEngine } from '../../policy/engine.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import type { StoredResource } from '../../schema/resource.ts';
import { declaredFrom } from '../../store/declared.ts';
import { createLogger } from '../../telemetry/logger.ts';

/** Decides with Cedar, over a project with these policies. */
const deciderWith = (...cedar: string[]) => {
  const policy = createPolicyEngine();
  const project = {
    kind: 'Project',
    metadata: { ...defaultTenancy, name: 'default' },
    spec: { environment: 'development', frozen: false },
  };
  const loaded = policy.load(defaultTenancy, {
    policySets: cedar.map((text, index) => ({ name: `p${index}`, cedar: text })),
    bindings: [],
  });
  expect(loaded).toEqual({ ok: true });
  const declared = declaredFrom([project as unknown as StoredResource], []);
  const authorize = createAuthorizer({
    policy,
    declared: () => declared,
    profile: 'dev',
    clock: () => new Date(),
    logger: createLogger({ name: 'test' }),
  });
  return async (action: 'readAudit' | 'erasePerson', { roles = [], groups = [] }: { roles?: string[]; groups?: string[] }) => {
    const person = { org: 'default', id: 'p', groups, roles, disabled: false, stamp: 'test' };
    return authorize(person, action, defaultTenancy);
  };
};

test('administrators and reviewers read the audit, administrators alone erase a person from it, and nobody else does either', async () => {
  const decide = deciderWith();
  const effects = async (action: 'readAudit' | 'erasePerson') =>
    Promise.all([['administrator'], ['reviewer'], []].map(async (roles) => (await decide(action, { roles })).effect));
  expect(await effects('readAudit')).toEqual(['allow', 'allow', 'deny']);
  expect(await effects('erasePerson')).toEqual(['allow', 'deny', 'deny']);
});

test('a project lets auditors read by a policy of its own, and the decision says by which version of the policies', async () => {
  const auditors = 'permit (principal in Quarterdeck::Group::"default/auditors", action == Quarterdeck::Action::"readAudit", resource);';
  const asked = { groups: ['auditors'] };
  // one after the other: policies that were parsed last under a project's name are in force in this process
  const open = deciderWith(auditors);
  const allowed = await open('readAudit', asked);
  expect(allowed).toMatchObject({ effect: 'allow', policies: ['policyset/p0/1'] });
  expect((await open('erasePerson', asked)).effect).toBe('deny');
  const refused = await deciderWith()('readAudit', asked);
  expect(refused.effect).toBe('deny');
  expect(refused.policyVersion).not.toBe(allowed.policyVersion);
});
