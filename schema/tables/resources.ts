import { boolean, integer, jsonb, pgTable, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core';

export const resources = pgTable(
  'resources',
  {
    org: text().notNull(),
    project: text().notNull(),
    kind: text().notNull(),
    name: text().notNull(),
    uid: uuid().notNull().defaultRandom(),
    generation: integer().notNull().default(1),
    labels: jsonb().$type<Record<string, string>>().notNull().default({}),
    annotations: jsonb().$type<Record<string, string>>().notNull().default({}),
    spec: jsonb().notNull(),
    status: jsonb().notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
    updatedAt: timestamp('updated_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.org, table.project, table.kind, table.name] })],
);

/** Definitions of tools as servers gave them. `approvedHash` is of the first approval; another `currentHash` hides the tool. */
export const toolDefinitions = pgTable(
  'tool_definitions',
  {
    org: text().notNull(),
    project: text().notNull(),
    server: text().notNull(),
    name: text().notNull(),
    /** The pinned definition: the one that was approved. */
    definition: jsonb().notNull(),
    approvedHash: text('approved_hash').notNull(),
    currentHash: text('current_hash').notNull(),
    readOnly: boolean('read_only').notNull(),
    destructive: boolean().notNull(),
    idempotent: boolean().notNull(),
    openWorld: boolean('open_world').notNull(),
    /** Generation of the server's resource whose `apply` approved this. */
    approvedGeneration: integer('approved_generation').notNull(),
    updatedAt: timestamp('updated_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.org, table.project, table.server, table.name] })],
);
