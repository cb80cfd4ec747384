import { contextFor, decideAgain } from '../../policy/decide-again.ts';
import { allFacts, explainDecision } from '../../policy/explain-decision.ts';
import { isCut } from '../../policy/recorded-context.ts';
import { recordedRego } from '../../policy/rego/rego-again.ts';
import { entityMap } from '../../policy/slice-entities.ts';
import type { AuditEvent } from '../../schema/audit-event.ts';
import { PlatformError } from '../../schema/errors.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { DecisionExplanation } from '../../schema/policy-explanation.ts';
import { removedText } from '../../schema/retention.ts';
import { queryAudit } from '../../store/audit.ts';
import type { Database } from '../../store/database.ts';
import { findRemoved } from '../../store/retention-progress.ts';
import type { ApiDependencies } from './api-dependencies.ts';
import { entitiesOf, type ReadDecision, type RecordedDecision, readDecisions } from './recorded-decision.ts';

const mostRows = 100;

const cutNote =
  'Queries and fragments of URLs, and arguments beyond some kilobytes, are not kept, so a policy that looks at them whole may have seen more than is shown, and may decide otherwise here.';

const regoNote =
  'Rego was given the arguments or the manifest, which are not kept: what it said is shown as it was, and is not decided again.';

const bare = (row: AuditEvent, rows: readonly AuditEvent[]): DecisionExplanation => ({
  decisionId: row.decisionId,
  at: row.at,
  person: row.person,
  agent: row.agent,
  role: row.role,
  target: row.tool ?? row.model ?? row.resource,
  action: row.action,
  forAnyArguments: false,
  effect: null,
  rows: rows.map(({ sequence, at, kind, outcome, errorCode }) => ({ sequence, at, kind, outcome, errorCode })),
  policyIds: row.policies,
  policies: [],
  rego: recordedRego(row),
  facts: [],
  again: null,
  notes: [],
});

const withRecord = (explanation: DecisionExplanation, tenancy: Tenancy, recorded: RecordedDecision): DecisionExplanation => {
  const { basis, bundle, platform, asked, row } = recorded;
  const entities = entitiesOf(asked);
  const request = {
    principal: asked.principal.uid,
    resource: asked.resource.uid,
    context: contextFor(platform, basis.action, asked.context),
  };
  const map = entityMap(entities);
  const known: DecisionExplanation = {
    ...explanation,
    action: basis.action,
    forAnyArguments: basis.forAnyArguments,
    effect: basis.effect,
    facts: allFacts(request, map),
    notes: [...explanation.notes, ...(isCut(row.facts) ? [cutNote] : []), ...(explanation.rego.length > 0 ? [regoNote] : [])],
  };
  if (bundle.org !== tenancy.org || bundle.project !== tenancy.project)
    return {
      ...known,
      notes: [...known.notes, `The policies of ${bundle.org}/${bundle.project} decided; their text is shown there alone.`],
    };
  const policies = { tenancy: bundle, project: bundle, platform };
  const again = decideAgain(policies, { ...request, action: basis.action, entities, forAnyArguments: basis.forAnyArguments });
  return {
    ...known,
    policies: explainDecision(policies, row.policies, request, map),
    again: again.ok ? { effect: again.effect, policies: again.policies } : null,
  };
};

const noteOf = async (database: Database, tenancy: Tenancy, read: ReadDecision | undefined): Promise<string[]> => {
  if (!read || 'recorded' in read) return [];
  if (read.reason === 'not-asked') return ['No policy was asked: the name is unknown here, or the call was refused before.'];
  const removed = read.reason === 'facts-removed' ? await findRemoved(database, tenancy, 'decisionFacts') : undefined;
  const why = removed ? `was ${removedText(tenancy, removed)}` : 'is no longer stored, or was not yet';
  return [`What the decision was made on ${why}: only the row of the audit is left.`];
};

/** A row that retention took cannot be told from one that never was, but that there was a removal can be said. */
const whyUnknown = async (database: Database, tenancy: Tenancy): Promise<string> => {
  const removed = await findRemoved(database, tenancy, 'audit');
  return removed ? ` Rows from before ${removed.before} were ${removedText(tenancy, removed)}.` : '';
};

/**
 * Explains a decision from the record: which policies determined it, where they are written, and what they read.
 * @throws {PlatformError} `not_found`
 */
export const explainRecorded = async (
  { database, audit }: Pick<ApiDependencies, 'database' | 'audit'>,
  tenancy: Tenancy,
  decisionId: string,
): Promise<DecisionExplanation> => {
  const rows = await queryAudit(database, tenancy, { decisionId, limit: mostRows }, audit.people);
  const row = rows.find(({ basis }) => basis !== null) ?? rows[0];
  if (!row)
    throw new PlatformError(
      'not_found',
      `The audit of ${tenancy.org}/${tenancy.project} has no decision ${decisionId}; rows appear a moment after the call, and in the project that the tool is of.${await whyUnknown(database, tenancy)}`,
    );
  const [read] = await readDecisions(database, tenancy, [row]);
  const explanation = { ...bare(row, rows), notes: await noteOf(database, tenancy, read) };
  return read && 'recorded' in read ? withRecord(explanation, tenancy, read.recorded) : explanation;
};
