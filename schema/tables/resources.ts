import { boolean, integer, json, jsonb, pgTable, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import type { DefinitionKind } from '../definition.ts';

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
    /** The person who declared it as it is now; null where nobody is known, as of what an installation comes with. */
    appliedBy: text('applied_by'),
    /** Everybody who has declared a part of it since it was made: of what is in force now nobody else wrote anything. */
    submitters: text().array().notNull().default([]),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
    updatedAt: timestamp('updated_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.org, table.project, table.kind, table.name] })],
);

/**
 * Definitions of tools, prompts and resource templates as servers gave them. `json`, not `jsonb`: the order of the fields is part of what
 * a person approved, and a text that Postgres would not take apart (`\u0000`) can still be shown.
 */
export const definitions = pgTable(
  'definitions',
  {
    org: text().notNull(),
    project: text().notNull(),
    server: text().notNull(),
    kind: text().$type<DefinitionKind>().notNull(),
    /** Of a template its `uriTemplate`. */
    name: text().notNull(),
    /** The pinned definition: the one that was approved, or that waits for its first approval. */
    definition: json().$type<Record<string, unknown>>().notNull(),
    /** What the server offers instead of the pinned one; null when that is the same, or nothing. */
    currentDefinition: json('current_definition').$type<Record<string, unknown>>(),
    /** Empty before the first approval. */
    approvedHash: text('approved_hash').notNull(),
    /** Another one than the approved hides the definition; empty when the server offers it no more. */
    currentHash: text('current_hash').notNull(),
    readOnly: boolean('read_only').notNull(),
    destructive: boolean().notNull(),
    idempotent: boolean().notNull(),
    openWorld: boolean('open_world').notNull(),
    /** Why what the server offers now is never approved by itself. */
    issues: jsonb().$type<string[]>().notNull().default([]),
    /** What a person should look at in what the server offers now. */
    warnings: jsonb().$type<string[]>().notNull().default([]),
    /** Offered only after the first look at its server. */
    cameLater: boolean('came_later').notNull().default(false),
    /** Generation of the server's resource that this was compared with. */
    approvedGeneration: integer('approved_generation').notNull(),
    /** The person; null when the server's `apply` was the approval. */
    approvedBy: text('approved_by'),
    /** Why it was put under quarantine: it stays hidden, whatever its server offers later, until a person accepts it. Empty where it is not. */
    quarantined: text().notNull().default(''),
    updatedAt: timestamp('updated_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.org, table.project, table.server, table.kind, table.name] })],
);

/** At which generation each kind of a server's definitions was first looked at: what appears after that waits for a person. */
export const definitionSights = pgTable(
  'definition_sights',
  {
    org: text().notNull(),
    project: text().notNull(),
    server: text().notNull(),
    kind: text().$type<DefinitionKind>().notNull(),
    generation: integer().notNull(),
  },
  (table) => [primaryKey({ columns: [table.org, table.project, table.server, table.kind] })],
);

/** Published policies of projects, a row for each publication: the last one is in force. `content` is the exact text that is signed. */
export const policyBundles = pgTable(
  'policy_bundles',
  {
    org: text().notNull(),
    project: text().notNull(),
    /** Counted from 1 in each project. */
    version: integer().notNull(),
    content: text().notNull(),
    /** Ed25519 over `content`, base64url. */
    signature: text().notNull(),
    publishedBy: text('published_by').notNull(),
    publishedAt: timestamp('published_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.org, table.project, table.version] })],
);
