import { sql } from 'drizzle-orm';
import { bigint, index, integer, json, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core';
import { bytea } from './bytea.ts';

const created = () => timestamp('created_at', { withTimezone: true }).notNull().defaultNow();
const instant = (name: string) => timestamp(name, { withTimezone: true });

/**
 * Sessions of legacy MCP clients, so that any replica can go on with one. A row is written at `initialize`. What clients wrote is `json`,
 * not `jsonb`, which would refuse a text with `\u0000` and with it a whole batch.
 */
export const mcpSessions = pgTable(
  'mcp_sessions',
  {
    id: text().primaryKey(),
    org: text().notNull(),
    principal: text().notNull(),
    endpoint: text().notNull(),
    client: json().$type<Record<string, unknown>>().notNull(),
    /** `streamable` HTTP, or `sse` for the HTTP+SSE transport of 2024-11-05. */
    transport: text().$type<'streamable' | 'sse'>().notNull().default('streamable'),
    logLevel: text('log_level'),
    /** URIs that the client has subscribed to, and which replica hears of their changes. */
    subscriptions: json().$type<{ uri: string; instance: string }[]>().notNull().default([]),
    createdAt: created(),
    usedAt: instant('used_at').notNull().defaultNow(),
  },
  (table) => [index('mcp_sessions_used').on(table.usedAt), index('mcp_sessions_principal').on(table.principal)],
);

/**
 * One stream of events that a client may take up again. The replica that runs a request writes its stream alone, up to the end.
 * What concerns a whole session goes to a standing stream, which any replica may append to and one of them sends.
 */
export const mcpStreams = pgTable(
  'mcp_streams',
  {
    id: text().primaryKey(),
    /** The session, or another owner, that alone may read it. */
    owner: text().notNull(),
    kind: text().$type<'request' | 'standing'>().notNull().default('request'),
    /** Who writes the stream of a request, or holds the connection of a standing stream (now, or was the last to do so). */
    gatewayInstance: text('gateway_instance').notNull(),
    /** Of a request's stream: the ids of its requests, each of which gets a reply or an error. */
    requestIds: json('request_ids').$type<(string | number)[]>().notNull().default([]),
    /** Of a standing stream: sequence of the newest event. */
    lastSequence: bigint('last_sequence', { mode: 'number' }).notNull().default(0),
    endedAt: instant('ended_at'),
    /** Of a standing stream: when a connection began to read it, and since when none does. */
    attachedAt: instant('attached_at'),
    detachedAt: instant('detached_at'),
    createdAt: created(),
  },
  (table) => [
    index('mcp_streams_owner').on(table.owner),
    index('mcp_streams_created').on(table.createdAt),
    index('mcp_streams_ended').on(table.endedAt).where(sql`ended_at is not null`),
  ],
);

/** Events of a stream in their order; `message` is sealed with the gateway's key. */
export const mcpStreamEvents = pgTable(
  'mcp_stream_events',
  { stream: text().notNull(), sequence: bigint({ mode: 'number' }).notNull(), message: bytea().notNull(), createdAt: created() },
  (table) => [primaryKey({ columns: [table.stream, table.sequence] })],
);

/** What a client answered to a question of ours at a replica that did not ask it; sealed, taken once. */
export const mcpAnswers = pgTable('mcp_answers', {
  /** Who was asked, and which question. */
  id: text().primaryKey(),
  answer: bytea().notNull(),
  createdAt: created(),
});

/** Rounds of requests that were gone on with: each is made by one operation, with one set of answers. */
export const mcpUsedRounds = pgTable(
  'mcp_used_rounds',
  {
    id: text().primaryKey(),
    operationId: text('operation_id').notNull(),
    answersDigest: text('answers_digest').notNull(),
    expiresAt: instant('expires_at').notNull(),
  },
  (table) => [index('mcp_used_rounds_expires').on(table.expiresAt)],
);

/** Sessions at legacy servers, so that another replica goes on with the same one. */
export const mcpUpstreamSessions = pgTable(
  'mcp_upstream_sessions',
  {
    org: text().notNull(),
    project: text().notNull(),
    server: text().notNull(),
    sessionKey: text('session_key').notNull(),
    /** Sealed: whoever knows a session's id may use it. */
    upstreamSession: bytea('upstream_session').notNull(),
    protocolVersion: text('protocol_version').notNull(),
    usedAt: instant('used_at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.org, table.project, table.server, table.sessionKey] })],
);

/** Tasks of modern clients: calls that go on after their request was answered. What a task holds of content is sealed. */
export const mcpTasks = pgTable(
  'mcp_tasks',
  {
    id: text().primaryKey(),
    org: text().notNull(),
    project: text().notNull(),
    principal: text().notNull(),
    endpoint: text().notNull(),
    operationId: text('operation_id'),
    gatewayInstance: text('gateway_instance').notNull(),
    status: text().notNull(),
    statusMessage: text('status_message'),
    ttlMs: integer('ttl_ms').notNull(),
    /** Result, error and open questions, sealed. */
    content: bytea(),
    createdAt: created(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
    expiresAt: instant('expires_at').notNull(),
  },
  (table) => [index('mcp_tasks_expires').on(table.expiresAt), index('mcp_tasks_principal').on(table.principal)],
);
