import type { AcceptPins, Pin } from '../../schema/definition.ts';
import { type AcceptedDefinition, acceptDefinitions, pinStateOf } from '../../store/accept-definitions.ts';
import type { Definition, ServerKey } from '../../store/definitions.ts';
import type { Person } from '../../store/people.ts';
import type { ApiDecision, ApiDependencies } from './api-dependencies.ts';
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

/**
 * Accepts definitions for a person, all or none, with an audit row for each.
 * @throws {PlatformError} `not_found`, `conflict`, `definition_suspicious`
 */
export const acceptPins = (
  { database, audit }: Pick<ApiDependencies, 'database' | 'audit'>,
  person: Person,
  decision: ApiDecision,
  key: ServerKey,
  accept: AcceptPins,
): Promise<AcceptedDefinition[]> =>
  inTransaction(database, async (within) => {
    const accepted = await acceptDefinitions(within, key, accept, person.id);
    for (const { kind, name, before, after, issues } of accepted)
      await recordChange(audit, within, key, person, decision, {
        action: 'approveServer',
        resource: `McpServer/${key.server}`,
        server: key.server,
        ...(kind === 'tool' ? { tool: name } : {}),
        facts: { change: after === '' ? 'forgotten' : 'accepted', kind, name, before, after, issues: [...issues] },
      });
    return accepted;
  });
