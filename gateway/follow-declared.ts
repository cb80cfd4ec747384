import type { ProjectPolicies } from '../policy/assemble-policies.ts';
import type { PolicyEngine } from '../policy/engine.ts';
import type { Tenancy } from '../schema/ids.ts';
import type { Database } from '../store/database.ts';
import { type Declared, declaredFrom } from '../store/declared.ts';
import type { VerifyPolicies } from '../store/secrets/policy-signature.ts';
import { watchDeclared } from '../store/watch-declared.ts';
import type { Logger } from '../telemetry/logger.ts';
import { createPolicyKeeper } from './keep-policies.ts';

/**
 * Follows what is declared: with each new view the policies of its projects are loaded, then it is in force, then whoever asked is told.
 * Policies that are not valid are refused whole; the last good ones of the project stay.
 * @returns the view in force (nothing is declared before `begin`), and how to hear of new ones
 */
export const followDeclared = ({
  database,
  policy,
  verifyPolicies,
  onPolicies,
  logger,
  pollMs,
  policyGraceMs,
}: {
  database: Database;
  policy: PolicyEngine;
  verifyPolicies: VerifyPolicies;
  onPolicies: (tenancy: Tenancy, policies: ProjectPolicies) => void;
  logger: Logger;
  pollMs?: number | undefined;
  policyGraceMs?: number | undefined;
}) => {
  const policies = createPolicyKeeper({
    policy,
    verify: verifyPolicies,
    onPolicies,
    // a view of its own, so that nothing that was worked out of the old one is used: lists are empty from now on, and who listens hears it
    onDenied: () => onChange({ ...declared }),
    logger,
    ...(policyGraceMs === undefined ? {} : { graceMs: policyGraceMs }),
  });
  let declared = declaredFrom([], []);
  let watch: Awaited<ReturnType<typeof watchDeclared>> | undefined;
  const listeners = new Set<(declared: Declared) => void>();

  const onChange = (next: Declared): void => {
    policies.take(next);
    declared = next;
    for (const listener of [...listeners])
      try {
        listener(next);
      } catch (error) {
        logger.error({ err: error }, 'somebody could not take in what is declared');
      }
  };

  return {
    declared: (): Declared => declared,
    onDeclared: (listener: (declared: Declared) => void): (() => void) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    /** Reads the first view; resolves when it is in force. */
    begin: async (): Promise<void> => {
      watch = await watchDeclared({ database, logger, onChange, ...(pollMs === undefined ? {} : { pollMs }) });
    },
    /** Looks at once; resolves when what is declared by now is in force. */
    refresh: async (): Promise<void> => watch?.refresh(),
    /** The same, and loads the policies of all projects again, also where nothing else was declared. */
    reload: async (): Promise<void> => {
      await watch?.refresh();
      policies.take(declared);
    },
    close: async (): Promise<void> => {
      policies.close();
      await watch?.close();
    },
  };
};
