import { bigint, boolean, customType, index, integer, jsonb, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core';

const bytea = customType<{ data: Buffer; driverData: Buffer }>({ dataType: () => 'bytea' });
const created = () => timestamp('created_at', { withTimezone: true }).notNull().defaultNow();
const instant = (name: string) => timestamp(name, { withTimezone: true });

/** Sessions of legacy MCP clients, so that any replica can go on with one. A row is written at `initialize`. */
export const mcpSessions = pgTable(
  'mcp_sessions',
  {
    id: text().primaryKey(),
    org: text().notNull(),
    principal: text().notNull(),
    endpoint: text().notNull(),
    client: jsonb().notNull(),
    logLevel: text('log_level'),
    subscriptions: jsonb().$type<string[]>().notNull().default([]),
    createdAt: created(),
    usedAt: instant('used_at').notNull().defaultNow(),
  },
  (table) => [index('mcp_sessions_used').on(table.usedAt)],
);

/** One stream of events that a client may take up again, and which replica writes it. */
export const mcpStreams = pgTable(
  'mcp_streams',
  {
    id: text().primaryKey(),
    /** The session, or another owner, that alone may read it. */
    owner: text().notNull(),
    gatewayInstance: text('gateway_instance').notNull(),
    isEnded: boolean('is_ended').notNull().default(false),
    createdAt: created(),
  },
  (table) => [index('mcp_streams_owner').on(table.owner), index('mcp_streams_created').on(table.createdAt)],
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
  (table) => [index('mcp_tasks_expires').on(table.expiresAt)],
);
