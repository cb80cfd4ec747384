import { capStdioReplicas } from './cap-stdio-replicas.ts';
import { ignoreRewrittenField } from './ignore-rewritten-field.ts';
import { mapSecretKey } from './map-secret-key.ts';
import { platformRules } from './platform-rules.ts';
import { pruneUndeclared } from './prune-undeclared.ts';
import { raiseMemory } from './raise-memory.ts';
import { reapplyDeclared } from './reapply-declared.ts';
import { refreshPullSecret } from './refresh-pull-secret.ts';
import { removeUndeclared } from './remove-undeclared.ts';
import { restorePolicies } from './restore-policies.ts';
import { reviveController } from './revive-controller.ts';
import type { Rule } from './rule.ts';
import { waitForCapacity } from './wait-for-capacity.ts';

/** The built-in rules; the first that fits is taken. Those of the platform look at symptoms and come before what only applies again. */
export const ruleCatalogue: readonly Rule[] = [
  ...platformRules,
  restorePolicies,
  reapplyDeclared,
  removeUndeclared,
  pruneUndeclared,
  raiseMemory,
  refreshPullSecret,
  mapSecretKey,
  capStdioReplicas,
  reviveController,
  waitForCapacity,
  ignoreRewrittenField,
];
