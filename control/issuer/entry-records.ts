import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { SourceOf } from '../../policy/source-of-request.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import type { AuditLog } from '../../store/audit-log.ts';
import type { RefusalCounter } from '../../store/audit-refusals.ts';
import type { Database } from '../../store/database.ts';

/** What somebody did at the issuer: logged in or out, or came by a token in place of a login. */
export type EntryAction = 'logIn' | 'logOut' | 'exchangeToken';

export type Entry = {
  action: EntryAction;
  org: string;
  project?: string;
  /** The person's id, where it is known who it is. */
  person: string | null;
  stamp?: string;
  facts: Record<string, string | number | boolean>;
};

/**
 * Puts on record who came in, who left, and whom a client that is known was refused for. Whoever nobody knows is counted, and not written
 * down one by one.
 */
export const createEntryRecords = ({
  database,
  audit,
  unknownCallers,
  sourceOf,
}: {
  database: Database;
  audit: AuditLog;
  unknownCallers: RefusalCounter;
  sourceOf: SourceOf;
}) => {
  const write = ({ org, project = defaultTenancy.project, action, person, stamp, facts }: Entry, code?: string): Promise<void> =>
    audit.append(database, [
      {
        org,
        project,
        action,
        person,
        facts,
        kind: code === undefined ? 'change' : 'refusal',
        decision: code === undefined ? 'allow' : 'deny',
        decisionId: `dec_${randomBytes(9).toString('base64url')}`,
        policies: [],
        outcome: code === undefined ? 'ok' : 'refused',
        errorCode: code ?? null,
        stamp: stamp ?? null,
      },
    ]);
  return {
    /** @throws {PlatformError} `store_unavailable`: what is not on record does not happen */
    allow: (entry: Entry): Promise<void> => write(entry),
    refuse: (entry: Entry, code: string): Promise<void> => write(entry, code),
    count: ({ socket, headers }: IncomingMessage, code: string): void =>
      unknownCallers.count({ source: sourceOf(socket.remoteAddress, headers), door: 'issuer', code }),
  };
};
export type EntryRecords = ReturnType<typeof createEntryRecords>;
