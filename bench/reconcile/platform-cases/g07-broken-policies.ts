import { sql } from 'drizzle-orm';
import { type PlatformCase, refIn } from './platform-case.ts';

const forbids =
  '@id("closed") @advice("Closed.") forbid (principal is Quarterdeck::Agent, action == Quarterdeck::Action::"callTool", resource);';

/** Written by somebody who went past the api, which refuses such text. */
export const brokenPolicies: PlatformCase = {
  id: 'G07',
  fault: 'a set of policies does not parse, so that all is denied',
  watch: ['policies'],
  declare: () => [{ kind: 'PolicySet', metadata: { name: 'rules' }, spec: { cedar: forbids } }],
  inject: async ({ database, project }) => {
    await database.execute(
      sql`update resources set spec = jsonb_set(spec, '{cedar}', '"permit (principal, action"'), generation = generation + 1 where kind = 'PolicySet' and name = 'rules' and project = ${project}`,
    );
  },
  seenAs: /^unhealthy PolicyBundle\/.* PolicyInvalid/,
  isWell: async ({ owner }) => (await owner.get('/resources/PolicySet/rules')).spec.cedar === forbids,
  right: { ends: ['fixed', 'asked'], operations: () => [{ op: 'restorePolicies' }] },
  wrong: ({ project }) => ({
    says: 'policies of another time',
    operations: [{ op: 'restorePolicies', object: refIn('PolicyBundle', project), revision: 'anything' }],
  }),
};
