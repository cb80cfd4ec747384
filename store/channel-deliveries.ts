import { randomBytes } from 'node:crypto';
import { and, eq, inArray, lt, ne, or, sql } from 'drizzle-orm';
import type { Approval } from '../schema/approval.ts';
import type { Tenancy } from '../schema/ids.ts';
import type { DeliveryEvent } from '../schema/resources/channel.ts';
import { approvals, channelDeliveries, reconcileFixes } from '../schema/tables/tables.ts';
import { stateNow } from './approvals.ts';
import { type Database, type Executor, guarded } from './database.ts';

export type Delivery = typeof channelDeliveries.$inferSelect;
export type NewDelivery = Tenancy & { channel: string; event: DeliveryEvent; subject: string; text?: string };

/** Whoever sends has so long before another may take the same. */
const takenForSeconds = 60;

/** Puts down what people are to be told; what stands there already is told once all the same. */
export const addDeliveries = (executor: Executor, deliveries: readonly NewDelivery[]): Promise<number> =>
  guarded(async () => {
    if (deliveries.length === 0) return 0;
    const rows = deliveries.map((delivery) => ({ id: `dlv_${randomBytes(12).toString('hex')}`, ...delivery }));
    const made = await executor.insert(channelDeliveries).values(rows).onConflictDoNothing().returning({ id: channelDeliveries.id });
    return made.length;
  });

/** An approval that some channel may have to be told of, and the reconciler's target that asks, if one does. */
export type AnnouncedApproval = Tenancy & Pick<Approval, 'id' | 'kind'> & { target: string | null; channels: string[] };

/** Open approvals, with the channels that were told of each already. Of all tenants, newest first. */
export const listOpenToAnnounce = (executor: Executor): Promise<AnnouncedApproval[]> =>
  guarded(async () =>
    executor
      .select({
        org: approvals.org,
        project: approvals.project,
        id: approvals.id,
        kind: approvals.kind,
        target: reconcileFixes.target,
        channels: sql<string[]>`coalesce((select array_agg(d.channel) from ${channelDeliveries} d
          where d.org = ${approvals.org} and d.project = ${approvals.project} and d.subject = ${approvals.id} and d.event = 'approval'), '{}')`,
      })
      .from(approvals)
      .leftJoin(reconcileFixes, eq(reconcileFixes.approvalId, approvals.id))
      .where(sql`${stateNow} = 'pending'`)
      .orderBy(sql`${approvals.requestedAt} desc`)
      .limit(1000),
  );

/**
 * Adds what is to be told because an announced approval is not open any more; those that were followed so far are not looked at again.
 * @returns how many
 */
export const announceDecided = (executor: Executor): Promise<number> =>
  guarded(async () => {
    const told = await executor
      .select({
        id: channelDeliveries.id,
        org: channelDeliveries.org,
        project: channelDeliveries.project,
        channel: channelDeliveries.channel,
        subject: channelDeliveries.subject,
      })
      .from(channelDeliveries)
      .innerJoin(
        approvals,
        and(
          eq(approvals.org, channelDeliveries.org),
          eq(approvals.project, channelDeliveries.project),
          eq(approvals.id, channelDeliveries.subject),
        ),
      )
      .where(
        and(
          // written out, for a parameter would hide that the partial index is of just these
          sql`${channelDeliveries.event} = 'approval' and not ${channelDeliveries.isFollowed}`,
          ne(stateNow, 'pending'),
        ),
      )
      .limit(500);
    if (told.length === 0) return 0;
    const added = await addDeliveries(
      executor,
      told.map(({ id: _announced, ...one }) => ({ ...one, event: 'decided' as const })),
    );
    // after it: a kill in between makes the next look find them again, and add nothing twice
    await executor
      .update(channelDeliveries)
      .set({ isFollowed: true })
      .where(
        inArray(
          channelDeliveries.id,
          told.map(({ id }) => id),
        ),
      );
    return added;
  });

/**
 * Adds what is to be told because a fix has ended that people approved, at the channels that told of its approval. In the transaction that ends
 * it, and before its approval is closed as one that is used no more.
 * @returns how many
 */
export const announceEnded = (executor: Executor, fixId: string): Promise<number> =>
  guarded(async () => {
    const { org, project, channel, subject } = channelDeliveries;
    const told = await executor
      .select({ org, project, channel, subject })
      .from(reconcileFixes)
      .innerJoin(approvals, and(eq(approvals.id, reconcileFixes.approvalId), inArray(approvals.state, ['approved', 'consumed'])))
      .innerJoin(
        channelDeliveries,
        and(eq(org, approvals.org), eq(project, approvals.project), eq(subject, approvals.id), eq(channelDeliveries.event, 'approval')),
      )
      .where(eq(reconcileFixes.id, fixId));
    return addDeliveries(
      executor,
      told.map((one) => ({ ...one, event: 'ended' as const })),
    );
  });

const tellsOf = ({ org, project, channel, event, subject }: NewDelivery) =>
  and(
    eq(channelDeliveries.org, org),
    eq(channelDeliveries.project, project),
    eq(channelDeliveries.channel, channel),
    eq(channelDeliveries.event, event),
    eq(channelDeliveries.subject, subject),
  );

/** Whether a channel has told of something, or is about to. */
export const isAnnounced = (executor: Executor, delivery: NewDelivery): Promise<boolean> =>
  guarded(async () => {
    const found = await executor.select({ id: channelDeliveries.id }).from(channelDeliveries).where(tellsOf(delivery));
    return found.length > 0;
  });

/** Takes what is due, so that nobody else sends it meanwhile; each take counts as an attempt. */
export const takeDeliveries = (database: Database, limit: number): Promise<Delivery[]> =>
  guarded(async () => {
    const isFree = or(sql`${channelDeliveries.takenUntil} is null`, lt(channelDeliveries.takenUntil, sql`now()`));
    const free = database
      .select({ id: channelDeliveries.id })
      .from(channelDeliveries)
      .where(and(eq(channelDeliveries.state, 'due'), sql`${channelDeliveries.dueAt} <= now()`, isFree))
      .orderBy(channelDeliveries.dueAt)
      .limit(limit)
      .for('update', { skipLocked: true });
    return database
      .update(channelDeliveries)
      .set({ takenUntil: sql`now() + ${takenForSeconds} * interval '1 second'`, attempts: sql`${channelDeliveries.attempts} + 1` })
      .where(inArray(channelDeliveries.id, free))
      .returning();
  });

export const markDelivered = (database: Database, id: string, message: Record<string, string> | null): Promise<void> =>
  guarded(async () => {
    await database
      .update(channelDeliveries)
      .set({ state: 'sent', sentAt: sql`now()`, takenUntil: null, lastError: '', ...(message === null ? {} : { message }) })
      .where(eq(channelDeliveries.id, id));
  });

/** @param againInSeconds - null when it is not tried again */
export const markUndelivered = (database: Database, id: string, error: string, againInSeconds: number | null): Promise<void> =>
  guarded(async () => {
    await database
      .update(channelDeliveries)
      .set({
        lastError: error,
        takenUntil: null,
        ...(againInSeconds === null ? { state: 'dead' as const } : { dueAt: sql`now() + ${againInSeconds} * interval '1 second'` }),
      })
      .where(eq(channelDeliveries.id, id));
  });

/** What a channel called the message that told of a subject first; undefined where it told nothing yet. */
export const findFirstMessage = (executor: Executor, first: Omit<NewDelivery, 'event'>) =>
  guarded(async (): Promise<Pick<Delivery, 'state' | 'message'> | undefined> => {
    const [row] = await executor
      .select({ state: channelDeliveries.state, message: channelDeliveries.message })
      .from(channelDeliveries)
      .where(tellsOf({ ...first, event: 'approval' }));
    return row;
  });
