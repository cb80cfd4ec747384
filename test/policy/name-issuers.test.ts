import { beforeAll, expect, test } from 'vitest';
import { personEntities } from '../../policy/caller-entities.ts';
import { createPolicyEngine } from '../../policy/engine.ts';
import { declaredEntity, entityUid, projectEntities } from '../../policy/entities.ts';
import { qualifiedName } from '../../schema/ids.ts';

const tenancy = { org: 'default', project: 'default' };
// a project that lets its developers apply whatever they like
const cedar = 'permit (principal in Quarterdeck::Group::"default/developers", action in [Quarterdeck::Action::"administer"], resource);';

const engine = createPolicyEngine();
beforeAll(() => {
  expect(engine.load(tenancy, { policySets: [{ name: 'open', cedar }], bindings: [] })).toMatchObject({ ok: true });
});

const decide = (kind: string, action: string, roles: string[]) => {
  const { effect, policies } = engine.decide(tenancy, {
    principal: entityUid('User', 'default/dev'),
    action,
    resource: entityUid('Declared', qualifiedName(tenancy, `${kind}/x`)),
    context: { who: { hasHuman: true, run: '' } },
    entities: [
      ...projectEntities({ ...tenancy, environment: 'development', frozen: false }),
      ...personEntities({ org: 'default', id: 'dev', groups: ['developers'], roles, disabled: false }),
      declaredEntity(tenancy, kind, 'x'),
    ],
  });
  return { effect, policies };
};

const refused = { effect: 'deny', policies: ['platform/administrators-name-issuers'] };

test('who may log in, and by which channels people answer, is an administrator’s to declare, whatever a project lets its people apply', () => {
  expect(decide('Toolset', 'applyResource', [])).toMatchObject({ effect: 'allow' });
  for (const kind of ['Channel', 'IdentityProvider', 'OAuthClient', 'Person', 'SigningKey'])
    for (const action of ['applyResource', 'deleteResource']) {
      expect(decide(kind, action, [])).toEqual(refused);
      expect(decide(kind, action, ['administrator'])).toMatchObject({ effect: 'allow' });
    }
});
