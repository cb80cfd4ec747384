import { boolean, index, integer, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core';
import type { HaltScope } from '../halt.ts';
import type { RateHoldKind } from '../rate-hold.ts';

/**
 * What is halted now; a halt that is lifted is gone from here, and stands in the audit. `project` is empty for what is halted in the whole
 * org, `name` for the org or project itself. Each change is told on the channel `quarterdeck_halts`.
 */
export const halts = pgTable(
  'halts',
  {
    org: text().notNull(),
    project: text().notNull(),
    scope: text().$type<HaltScope>().notNull(),
    name: text().notNull(),
    reason: text().notNull(),
    haltedBy: text('halted_by').notNull(),
    decisionId: text('decision_id').notNull(),
    haltedAt: timestamp('halted_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.org, table.project, table.scope, table.name] })],
);

/** How much of a shared rate limit has been handed out to gateways in the window that began at `startedAt`. */
export const rateWindows = pgTable('rate_windows', {
  /** Which limit, and whose: each person's, run's, … own, where it is counted for each. */
  key: text().primaryKey(),
  startedAt: timestamp('started_at', { withTimezone: true }).notNull(),
  taken: integer().notNull(),
  /** What the last taker got: how a statement says what it gave. */
  granted: integer().notNull(),
});

/**
 * Places of limits of how many calls run at a time, as gateways hold them: each a few, for calls that run there or may begin. What expires
 * is free again, so a gateway that dies holds nothing for long.
 */
export const ratePlaces = pgTable(
  'rate_places',
  {
    /** As in `rate_windows`. */
    key: text().notNull(),
    /** One start of one gateway. */
    gateway: text().notNull(),
    places: integer().notNull(),
    /** Another gateway was refused: what is not used is to be given back, and one place besides. */
    isWanted: boolean('is_wanted').notNull().default(false),
    expiresAt: timestamp('expires_at', { withTimezone: true }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.key, table.gateway] }), index('rate_places_gateway').on(table.gateway)],
);

/**
 * Callers and servers that are held to less than what is declared, for a storm: a rate beside the declared ones, which can only make a limit
 * narrower. Each change is told on the channel `quarterdeck_rate_holds`.
 */
export const rateHolds = pgTable(
  'rate_holds',
  {
    org: text().notNull(),
    project: text().notNull(),
    kind: text().$type<RateHoldKind>().notNull(),
    /** The agent's id, or the server's name. */
    name: text().notNull(),
    /** Calls of tools in each window of a minute, over all gateways together. */
    callsPerMinute: integer('calls_per_minute').notNull(),
    /** The operation of the reconciler that set it. */
    operationId: text('operation_id').notNull(),
    heldAt: timestamp('held_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.org, table.project, table.kind, table.name] })],
);
