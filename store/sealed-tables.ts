import { type SQL, sql } from 'drizzle-orm';
import type { SealedName } from '../schema/seal-key.ts';
import { sealContext } from './approvals.ts';
import { pseudonymContext } from './audit-people.ts';
import { clientContext } from './backend-clients.ts';
import { grantContext } from './backend-grants.ts';
import { assertionContext } from './identity-assertions.ts';
import { answerContext } from './mcp-answers.ts';
import { eventContext } from './mcp-streams.ts';
import { taskContext } from './mcp-tasks.ts';
import { upstreamSessionContext } from './mcp-upstream-sessions.ts';
import { oldOperationText, operationText } from './operation-outcome.ts';

/** Where something sealed stands, and what it was sealed for. */
export type SealedTable = {
  table: string;
  column: string;
  /** Columns that `contexts` reads, as they are called there. */
  columns: readonly string[];
  purpose: string;
  /** What a row may be bound to; the first one is what it is bound to from now on. */
  contexts(row: Record<string, string>): string[];
};

// rows come as text, whatever the column is; what a context takes of them is text too, or a number
type Row<T> = T & Record<string, string>;
const tableOf = <T>(
  table: string,
  column: string,
  columns: readonly (keyof T & string)[],
  purpose: string,
  contexts: (row: Row<T>) => string[],
): SealedTable => ({ table, column, columns, purpose, contexts: contexts as SealedTable['contexts'] });

/** Everything that is sealed in a row, by whose keys seal it. Contents are not among it: they have keys of their orgs (`org_keys`). */
export const sealedTables: Record<SealedName, readonly SealedTable[]> = {
  gateway: [
    tableOf<{ org: string; project: string; principal: string; id: string }>(
      'operations',
      'outcome',
      ['org', 'project', 'principal', 'id'],
      'operations',
      (row) => [operationText(row), oldOperationText(row)],
    ),
    tableOf<{ id: string }>('mcp_tasks', 'content', ['id'], 'mcp-state', ({ id }) => [taskContext(id)]),
    tableOf<{ id: string }>('mcp_answers', 'answer', ['id'], 'mcp-state', ({ id }) => [answerContext(id)]),
    tableOf<{ stream: string; sequence: string }>('mcp_stream_events', 'message', ['stream', 'sequence'], 'mcp-session', (row) => [
      eventContext(row.stream, Number(row.sequence)),
    ]),
    tableOf<{ org: string; project: string; server: string; session_key: string }>(
      'mcp_upstream_sessions',
      'upstream_session',
      ['org', 'project', 'server', 'session_key'],
      'upstream-sessions',
      (row) => [upstreamSessionContext({ ...row, sessionKey: row.session_key })],
    ),
  ],
  approvals: [
    tableOf<{ org: string; project: string; id: string }>('approvals', 'call', ['org', 'project', 'id'], 'approvals', (row) => [
      sealContext(row),
    ]),
  ],
  people: [
    tableOf<{ org: string; pseudonym: string }>('audit_people', 'sealed', ['org', 'pseudonym'], 'audit-people', ({ org, pseudonym }) => [
      pseudonymContext(org, pseudonym),
    ]),
  ],
  grants: [
    tableOf<{ org: string; project: string; server: string; person_id: string; issuer: string }>(
      'backend_grants',
      'sealed',
      ['org', 'project', 'server', 'person_id', 'issuer'],
      'grants',
      (row) => [grantContext({ ...row, personId: row.person_id })],
    ),
    tableOf<{ org: string; project: string; server: string; issuer: string }>(
      'backend_clients',
      'sealed',
      ['org', 'project', 'server', 'issuer'],
      'grants',
      (row) => [clientContext(row, row.issuer)],
    ),
    tableOf<{ org: string; project: string; provider: string; person_id: string; issuer: string }>(
      'identity_assertions',
      'sealed',
      ['org', 'project', 'provider', 'person_id', 'issuer'],
      'assertions',
      (row) => [assertionContext({ ...row, personId: row.person_id })],
    ),
  ],
};

/** The key that a column's value stands on: its id, or `original`. */
export const keyIn = (column: SQL): SQL =>
  sql`case when get_byte(${column}, 0) = 2 then encode(substring(${column} from 2 for 8), 'hex') else 'original' end`;
