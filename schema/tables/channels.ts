import { sql } from 'drizzle-orm';
import { boolean, index, integer, jsonb, pgTable, text, timestamp, uniqueIndex } from 'drizzle-orm/pg-core';
import type { DeliveryEvent } from '../resources/channel.ts';

const instant = (name: string) => timestamp(name, { withTimezone: true });

/**
 * What people are to be told by a channel, or were: one row for one event of one subject, so that nobody is told twice. Whoever sends takes
 * a row for a while (`taken_until`); after a kill another takes it.
 */
export const channelDeliveries = pgTable(
  'channel_deliveries',
  {
    id: text().primaryKey(),
    org: text().notNull(),
    project: text().notNull(),
    channel: text().notNull(),
    event: text().$type<DeliveryEvent>().notNull(),
    /** An approval's id, or of a page what it is about. */
    subject: text().notNull(),
    /** Of a page, its text. */
    text: text().notNull().default(''),
    state: text().$type<'due' | 'sent' | 'dead'>().notNull().default('due'),
    attempts: integer().notNull().default(0),
    lastError: text('last_error').notNull().default(''),
    /** What the channel calls the message, to change it later. */
    message: jsonb().$type<Record<string, string>>(),
    dueAt: instant('due_at').notNull().defaultNow(),
    takenUntil: instant('taken_until'),
    /** Of an announced approval: its decision was put down to be told too, so nobody looks for it again. */
    isFollowed: boolean('is_followed').notNull().default(false),
    madeAt: instant('made_at').notNull().defaultNow(),
    sentAt: instant('sent_at'),
  },
  (table) => [
    uniqueIndex('channel_deliveries_once').on(table.org, table.project, table.channel, table.event, table.subject),
    index('channel_deliveries_due').on(table.state, table.dueAt),
    index('channel_deliveries_open').on(table.org, table.project, table.subject).where(sql`event = 'approval' and not is_followed`),
    index('channel_deliveries_subject').on(table.org, table.project, table.subject),
  ],
);
