import type { EntityJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { PlatformPolicies } from '../../policy/assemble-policies.ts';
import type { StoredBundle } from '../../policy/decision-record.ts';
import type { Known, KnownRequest } from '../../policy/known.ts';
import { recordedContext } from '../../policy/recorded-context.ts';
import type { AuditEvent } from '../../schema/audit-event.ts';
import { type DecisionBasis, parseBasis } from '../../schema/decision-basis.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { Database } from '../../store/database.ts';
import { readDecisionFacts } from '../../store/decision-facts.ts';
import { findRemoved } from '../../store/retention-progress.ts';

/** A decision as the audit has it: what was asked, and with which policies. */
export type RecordedDecision = {
  row: AuditEvent;
  basis: DecisionBasis;
  bundle: StoredBundle;
  platform: PlatformPolicies;
  asked: KnownRequest;
};
/** Rows of the audit, each with its decision or the reason why that cannot be told. */
export type ReadDecision =
  | { row: AuditEvent; recorded: RecordedDecision }
  | { row: AuditEvent; reason: 'not-asked' | 'facts-missing' | 'facts-removed' };

const digestsOf = ({ policies, principal, resource, surroundings }: DecisionBasis): string[] => [
  policies,
  principal,
  resource,
  surroundings,
];

/** Reads what rows of the audit refer to. Equal facts are one object, so that decisions on them are found again. */
export const readDecisions = async (database: Database, tenancy: Tenancy, rows: readonly AuditEvent[]): Promise<ReadDecision[]> => {
  const bases = rows.map(({ basis }) => parseBasis(basis));
  const facts = await readDecisionFacts(
    database,
    tenancy,
    bases.flatMap((basis) => (basis ? digestsOf(basis) : [])),
  );
  const bundles = bases.flatMap((basis) => (basis ? ((facts.get(basis.policies) as StoredBundle | undefined) ?? []) : []));
  const platforms = await readDecisionFacts(
    database,
    tenancy,
    bundles.map(({ platform }) => platform),
  );
  // what a decision was made on was used then at least: retention takes it only when that is long enough ago
  const removed = await findRemoved(database, tenancy, 'decisionFacts');
  const reasonOf = ({ at }: AuditEvent) => (removed && at < removed.before ? 'facts-removed' : 'facts-missing');
  return rows.map((row, index) => {
    const basis = bases[index];
    if (!basis) return { row, reason: 'not-asked' };
    const bundle = facts.get(basis.policies) as StoredBundle | undefined;
    const platform = bundle && (platforms.get(bundle.platform) as PlatformPolicies | undefined);
    const [principal, resource, surroundings] = [basis.principal, basis.resource, basis.surroundings].map(
      (digest) => facts.get(digest) as Known | undefined,
    );
    if (!bundle || !platform || !principal || !resource || !surroundings) return { row, reason: reasonOf(row) };
    const { action, forAnyArguments } = basis;
    const context = recordedContext(action, row, forAnyArguments);
    return {
      row,
      recorded: { row, basis, bundle, platform, asked: { principal, action, resource, surroundings, context, forAnyArguments } },
    };
  });
};

/** All entities of a request, each once; what is said of a thing by itself counts more than what its surroundings say. */
export const entitiesOf = ({ surroundings, principal, resource }: KnownRequest): EntityJson[] => [
  ...new Map(
    [...surroundings.entities, ...principal.entities, ...resource.entities].map((entity) => [JSON.stringify(entity.uid), entity] as const),
  ).values(),
];
