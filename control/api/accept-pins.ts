import type { AcceptPins, Pin } from '../../schema/definition.ts';
import { PlatformError } from '../../schema/errors.ts';
import { type AcceptedDefinition, acceptDefinitions, pinStateOf } from '../../store/accept-definitions.ts';
import type { Database, Executor } from '../../store/database.ts';
import type { Definition, ServerKey } from '../../store/definition.ts';
import type { ExactDefinitions } from '../../store/exact-change.ts';
import type { Person } from '../../store/people.ts';
import { findApplier } from '../../store/resources.ts';
import type { ApiDecision, ApiDependencies } from './api-dependencies.ts';
import type { Enacting } from './enacting.ts';
import { inTransaction } from './in-transaction.ts';
import { recordChange } from './record-change.ts';

/** A definition as people are shown it: what agents see, and what the server offers instead. */
export const pinOf = (row: Definition): Pin => {
  const { server, kind, name, approvedHash, currentHash, issues, warnings, approvedBy } = row;
  const isPinned = approvedHash !== '';
  return {
    server,
    kind,
    name,
    state: pinStateOf(row),
    approvedHash,
    currentHash,
    pinned: isPinned ? row.definition : null,
    offered: isPinned ? row.currentDefinition : row.definition,
    issues,
    warnings,
    approvedBy,
  };
};

/** Accepts definitions, all or none, with an audit row for each. To be called in a transaction. */
const acceptWithin = async (
  audit: ApiDependencies['audit'],
  within: Database,
  person: Person,
  decision: ApiDecision,
  key: ServerKey,
  accept: AcceptPins,
  more: { approval?: string } = {},
): Promise<AcceptedDefinition[]> => {
  const accepted = await acceptDefinitions(within, key, accept, person.id);
  for (const { kind, name, before, after, issues } of accepted)
    await recordChange(audit, within, key, person, decision, {
      action: 'approveServer',
      resource: `McpServer/${key.server}`,
      server: key.server,
      ...(kind === 'tool' ? { tool: name } : {}),
      facts: { change: after === '' ? 'forgotten' : 'accepted', kind, name, before, after, issues: [...issues], ...more },
    });
  return accepted;
};

/**
 * Accepts definitions for a person.
 * @throws {PlatformError} `not_found`, `conflict`, `definition_suspicious`
 */
export const acceptPins = (
  { database, audit }: Pick<ApiDependencies, 'database' | 'audit'>,
  person: Person,
  decision: ApiDecision,
  key: ServerKey,
  accept: AcceptPins,
): Promise<AcceptedDefinition[]> => inTransaction(database, (within) => acceptWithin(audit, within, person, decision, key, accept));

/** Definitions as other people are asked about them: by hash, with all that agents would be shown. */
export const exactDefinitions = (
  { org, project, server }: ServerKey,
  rows: readonly Definition[],
  { definitions, acceptIssues }: AcceptPins,
): ExactDefinitions => ({
  kind: 'definitions',
  ...{ org, project, server, acceptIssues },
  definitions: definitions.map(({ kind, name, currentHash }) => {
    const row = rows.find((each) => each.kind === kind && each.name === name && each.currentHash === currentHash);
    if (!row)
      throw new PlatformError(
        'conflict',
        `The ${kind} ${name} of ${server} is not offered so any more; look again (\`quarterdeck server pins diff ${server}\`).`,
      );
    const { pinned, offered, issues } = pinOf(row);
    return { kind, name, currentHash, pinned, offered, issues };
  }),
});

/**
 * Accepts what other people approved. The last of them has to be one who may accept it.
 * @throws {PlatformError} `conflict`, `not_permitted`, `definition_suspicious`
 */
export const acceptApproved = async (
  { audit, authorize }: Pick<ApiDependencies, 'audit' | 'authorize'>,
  within: Database,
  { org, project, server, definitions, acceptIssues }: ExactDefinitions,
  { approval, approver }: Enacting,
): Promise<void> => {
  const key = { org, project, server };
  const decision = await authorize(approver, 'approveServer', key, {
    kind: 'McpServer',
    name: server,
    submitters: await submittersOf(within, key),
  });
  if (decision.effect === 'deny')
    throw new PlatformError('not_permitted', `${approver.id} may not accept definitions of ${server}; nothing was accepted.`);
  const named = definitions.map(({ kind, name, currentHash }) => ({ kind, name, currentHash }));
  await acceptWithin(audit, within, approver, decision, key, { definitions: named, acceptIssues }, { approval: approval.id });
};

/** Who declared a server as it is now. */
export const submittersOf = async (database: Executor, { org, project, server }: ServerKey): Promise<string[]> => {
  const applier = await findApplier(database, { org, project, kind: 'McpServer', name: server });
  return applier === undefined ? [] : [applier];
};
