import pino from 'pino';
import { expect, test } from 'vitest';
import { createPolicyKeeper } from '../../gateway/keep-policies.ts';
import { personEntities } from '../../policy/caller-entities.ts';
import { createPolicyEngine } from '../../policy/engine.ts';
import { entityUid, projectEntities } from '../../policy/entities.ts';
import { noArguments } from '../../policy/recorded-context.ts';
import { toolEntities } from '../../policy/toolset-entities.ts';
import type { StoredResource } from '../../schema/resource.ts';
import { declaredFrom } from '../../store/declared.ts';
import { createPolicySigner, createPolicyVerifier, policyPublicKey } from '../../store/secrets/policy-signature.ts';
import { pollUntil } from '../support/poll-until.ts';
import { parsed } from '../support/running-gateway.ts';

const tenancy = { org: 'default', project: 'default' };
const secret = 'a secret of 32 characters or more, for tests';
const project = parsed({ kind: 'Project', metadata: { name: 'default' }, spec: {} }) as StoredResource[];

const published = (version: number, cedar: string, { secretOf = secret, ofProject = 'default' } = {}) => {
  const content = JSON.stringify({ org: 'default', project: ofProject, version, policySets: [{ name: 'p', cedar }] });
  return { ...tenancy, version, content, signature: createPolicySigner(secretOf)(content), publishedBy: 'ada', publishedAt: '' };
};
const permitAll = 'permit (principal, action, resource);';

const startKeeper = (graceMs = 60_000) => {
  const engine = createPolicyEngine();
  const keeper = createPolicyKeeper({
    policy: engine,
    verify: createPolicyVerifier(policyPublicKey(secret)),
    logger: pino({ level: 'silent' }),
    graceMs,
  });
  const asked = {
    principal: {
      uid: entityUid('User', 'default/ada'),
      entities: personEntities({ org: 'default', id: 'ada', groups: [], roles: [], disabled: false }),
    },
    action: 'callTool',
    resource: {
      uid: entityUid('Tool', 'default/default/files/read'),
      entities: toolEntities({
        ...tenancy,
        server: 'files',
        tool: 'read',
        toolset: 't',
        isolation: 1,
        readOnly: true,
        destructive: false,
        idempotent: true,
        openWorld: false,
        approvedHash: 'h',
        currentHash: 'h',
      }),
    },
    surroundings: {
      uid: entityUid('Project', 'default/default'),
      entities: projectEntities({ ...tenancy, environment: 'development', frozen: false }),
    },
    context: { who: { hasHuman: true, run: '' }, arguments: noArguments },
  };
  return {
    take: (...publications: ReturnType<typeof published>[]) => keeper.take(declaredFrom(project, [], [], publications)),
    decide: () => engine.decideKnown(tenancy, asked).effect,
    close: keeper.close,
  };
};

test('a publication is taken over as it was signed; without the right key, or of another project, it never is', () => {
  const keeper = startKeeper();
  keeper.take(published(1, permitAll, { secretOf: 'another secret of 32 characters or more' }));
  expect(keeper.decide()).toBe('deny');
  keeper.take(published(1, permitAll, { ofProject: 'other' }));
  expect(keeper.decide()).toBe('deny');
  keeper.take({ ...published(1, permitAll), version: 2 });
  expect(keeper.decide()).toBe('deny');
  keeper.take(published(1, permitAll));
  expect(keeper.decide()).toBe('allow');
  keeper.close();
});

test('a publication that is gone or damaged leaves the last good one in force for its time, then everything is denied, until there is a good one', async () => {
  const keeper = startKeeper(100);
  keeper.take(published(1, permitAll));
  keeper.take();
  expect(keeper.decide()).toBe('allow');
  await pollUntil(async () => (keeper.decide() === 'deny' ? true : undefined), 'everything denied');
  keeper.take({ ...published(2, permitAll), signature: 'AAAA' });
  expect(keeper.decide()).toBe('deny');
  keeper.take(published(2, permitAll));
  expect(keeper.decide()).toBe('allow');
  keeper.close();
});

test('a publication that comes back in time ends the wait', async () => {
  const keeper = startKeeper(150);
  keeper.take(published(1, permitAll));
  keeper.take();
  keeper.take(published(1, permitAll));
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(keeper.decide()).toBe('allow');
  keeper.close();
});
