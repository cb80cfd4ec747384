import type { PolicyEngine } from '../policy/engine.ts';
import type { Database } from '../store/database.ts';
import type { Declared } from '../store/declared.ts';
import { keepRevision } from '../store/policy-revisions.ts';
import type { Logger } from '../telemetry/logger.ts';

/**
 * Puts down the PolicySets of each project that have just been put into force, so that there is something to go back to when they are broken
 * later. What is published has versions of its own.
 * @returns takes each view that is in force
 */
export const keepRevisions = ({
  database,
  policy,
  logger,
}: {
  database: Database;
  policy: Pick<PolicyEngine, 'versionOf'>;
  logger: Logger;
}): ((declared: Declared) => void) => {
  const kept = new Map<string, string>();
  return (declared) => {
    for (const place of declared.projects()) {
      const key = `${place.org}/${place.project}`;
      const revision = policy.versionOf(place);
      // where a view's policies are refused the version stays, and what is declared is not what is in force
      if (revision === undefined || kept.get(key) === revision || declared.publishedPolicies(place)) continue;
      kept.set(key, revision);
      const policySets = declared.list('PolicySet', place).map(({ metadata: { name }, spec }) => ({ name, spec }));
      keepRevision(database, place, { revision, policySets }).catch((error) => {
        kept.delete(key);
        logger.warn({ err: error, ...place }, 'policies that were put into force could not be kept; the next view tries again');
      });
    }
  };
};
