import { and, eq, sql } from 'drizzle-orm';
import type { AcceptPins, DefinitionKind, PinState } from '../schema/definition.ts';
import { hintsOf } from '../schema/definition-hints.ts';
import { PlatformError } from '../schema/errors.ts';
import { definitions } from '../schema/tables/tables.ts';
import { type Executor, guarded } from './database.ts';
import type { Definition, ServerKey } from './definition.ts';
import { isUsable } from './definitions.ts';

/** What became of one definition: the hash that was in force, and the one that is now. */
export type AcceptedDefinition = { kind: DefinitionKind; name: string; before: string; after: string; issues: readonly string[] };

export const pinStateOf = (definition: Pick<Definition, 'approvedHash' | 'currentHash' | 'cameLater' | 'quarantined'>): PinState => {
  if (definition.quarantined !== '') return 'quarantined';
  if (isUsable(definition)) return 'approved';
  if (definition.approvedHash === '') return definition.cameLater ? 'new' : 'pending';
  return definition.currentHash === '' ? 'gone' : 'changed';
};

type Wanted = AcceptPins['definitions'][number];

const lockRow = async (transaction: Executor, { org, project, server }: ServerKey, { kind, name }: Wanted) => {
  const at = and(
    eq(definitions.org, org),
    eq(definitions.project, project),
    eq(definitions.server, server),
    eq(definitions.kind, kind),
    eq(definitions.name, name),
  );
  const [row] = await transaction.select().from(definitions).where(at).for('update');
  return { at, row };
};

const mayBeAccepted = (
  server: string,
  { kind, name, currentHash }: Wanted,
  row: Definition | undefined,
  acceptIssues: boolean,
): Definition => {
  if (!row)
    throw new PlatformError(
      'not_found',
      `The server ${server} has no ${kind} ${name}; \`quarterdeck server pins ls ${server}\` lists what it has.`,
    );
  if (row.currentHash !== currentHash)
    throw new PlatformError(
      'conflict',
      `The ${kind} ${name} of ${server} has changed since you looked; look again (\`quarterdeck server pins diff ${server}\`).`,
    );
  if (isUsable(row))
    throw new PlatformError('conflict', `The ${kind} ${name} of ${server} is in force as it is; there is nothing to accept.`);
  if (row.issues.length > 0 && !acceptIssues)
    throw new PlatformError(
      'definition_suspicious',
      `The ${kind} ${name} of ${server}: ${row.issues.join('; ')}. If you have seen that and want it nevertheless, accept with --accept-issues.`,
    );
  return row;
};

/**
 * Puts what a person saw into force: all of it, or nothing. Accepting what is gone lets its pin go. To be called in a transaction.
 * @throws {PlatformError} `not_found`; `conflict` when the server offers something else by now, or it is in force already;
 *   `definition_suspicious` when something is wrong with one and `acceptIssues` is not said
 */
export const acceptDefinitions = (
  transaction: Executor,
  server: ServerKey,
  { definitions: wanted, acceptIssues }: AcceptPins,
  person: string,
): Promise<AcceptedDefinition[]> =>
  guarded(async () => {
    const accepted: AcceptedDefinition[] = [];
    // in one order, so that two people do not wait for each other
    for (const each of wanted.toSorted((a, b) => (`${a.kind}/${a.name}` < `${b.kind}/${b.name}` ? -1 : 1))) {
      const { at, row: found } = await lockRow(transaction, server, each);
      const row = mayBeAccepted(server.server, each, found, acceptIssues);
      const { kind, name, currentHash, approvedHash, issues } = row;
      const definition = row.currentDefinition ?? row.definition;
      if (currentHash === '') await transaction.delete(definitions).where(at);
      else
        await transaction
          .update(definitions)
          .set({
            definition,
            currentDefinition: null,
            approvedHash: currentHash,
            ...hintsOf(kind, definition),
            cameLater: false,
            approvedBy: person,
            quarantined: '',
            updatedAt: sql`now()`,
          })
          .where(at);
      accepted.push({ kind, name, before: approvedHash, after: currentHash, issues });
    }
    return accepted;
  });
