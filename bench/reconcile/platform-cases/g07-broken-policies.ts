import { sql } from 'drizzle-orm';
import type { PlatformCase } from './platform-case.ts';
import { wrongPlatformFix } from './wrong-platform-fix.ts';

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
  wrong: (lane) => wrongPlatformFix('G07', lane),
};
