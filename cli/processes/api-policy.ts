import type { ApiDependencies, ApiProfile } from '../../control/api/api-dependencies.ts';
import { createAuthorizer, createPolicyValidator } from '../../control/api/authorize-with-cedar.ts';
import type { CompileRego } from '../../control/api/compile-rego.ts';
import { createPersonRights, type PersonRights } from '../../control/api/person-rights.ts';
import { createPolicyKeeper } from '../../gateway/keep-policies.ts';
import { createPolicyEngine } from '../../policy/engine.ts';
import { createRegoPool } from '../../policy/rego/create-rego-pool.ts';
import { createRegoPolicies } from '../../policy/rego/rego-policies.ts';
import type { Database } from '../../store/database.ts';
import { type Declared, declaredFrom } from '../../store/declared.ts';
import type { VerifyPolicies } from '../../store/secrets/policy-signature.ts';
import { watchDeclared } from '../../store/watch-declared.ts';
import type { Logger } from '../../telemetry/logger.ts';

/** Whether a person may use a toolset, or a model. */
export type MayUse = (...asked: Parameters<PersonRights>) => boolean;

/** Tells of what is declared, now and whenever it changes. */
export type FollowDeclared = (listener: (declared: Declared) => void) => void;

/** The policies that decide what people ask of the api, kept up to date as they are declared. */
export const createApiPolicy = async ({
  database,
  verifyPolicies,
  profile,
  clock,
  compileRego,
  logger,
}: {
  database: Database;
  profile: ApiProfile;
  clock: () => Date;
  verifyPolicies: VerifyPolicies;
  compileRego: CompileRego;
  logger: Logger;
}): Promise<
  Pick<ApiDependencies, 'authorize' | 'validatePolicies' | 'rego'> & {
    mayUse: MayUse;
    followDeclared: FollowDeclared;
    close(): Promise<void>;
  }
> => {
  const policy = createPolicyEngine();
  const pool = createRegoPool();
  const inForce = createRegoPolicies({ pool, now: () => performance.now() });
  const policies = createPolicyKeeper({ policy, verify: verifyPolicies, onPolicies: inForce.take, logger });
  let current: Declared = declaredFrom([], []);
  const listeners = new Set<(declared: Declared) => void>();
  const declared = (): Declared => current;
  const watch = await watchDeclared({
    database,
    logger,
    onChange: (next) => {
      current = next;
      policies.take(next);
      for (const listener of listeners) listener(next);
    },
  });
  const rights = createPersonRights({ policy, declared });
  const authorize = createAuthorizer({ policy, declared, profile, clock, logger });
  return {
    close: async () => {
      policies.close();
      await watch.close();
      await pool.close();
    },
    authorize: async (person, action, tenancy, target) => {
      // a launch reads which roles the fleet has, so it waits for what was applied a moment ago
      if (action === 'launchFleet') await watch.refresh();
      return authorize(person, action, tenancy, target);
    },
    validatePolicies: createPolicyValidator(declared),
    rego: { compile: compileRego, pool, inForce },
    followDeclared: (listener) => {
      listeners.add(listener);
      listener(current);
    },
    mayUse: (...asked) => rights(...asked)?.effect === 'allow',
  };
};
