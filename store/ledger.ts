import { and, eq, isNull, sql } from 'drizzle-orm';
import { agents, reservations, runs } from '../schema/tables/tables.ts';
import { type Database, type Executor, guarded } from './database.ts';

export type ReservationRefusal = 'limit_steps' | 'limit_calls' | 'limit_tokens' | 'limit_time' | 'limit_repeats' | 'ended' | 'conflict';
export type Reservation = { ok: true } | { ok: false; reason: ReservationRefusal };
export type ReserveRequest = { agentId: string; operationId: string; kind: 'model' | 'tool'; tokens: number; callDigest: string };

/** A retry finds its reservation; more retries than any outage needs are somebody who wants calls for nothing. */
const mostTries = 100;

/** Undoes the transaction; the reason is looked up afterwards where it is not known yet. */
class Refused extends Error {
  readonly reason: ReservationRefusal | undefined;
  constructor(reason: ReservationRefusal | undefined) {
    super('refused');
    this.reason = reason;
  }
}

const limitOf = (name: string) => sql`(${agents.limits}->>${name})::bigint`;

/** Whether an agent would have made the very same call more often than it may, with `further` ones that are not written yet. */
const repeats = (agentId: string, callDigest: string, further: 0 | 1) => sql`coalesce((select count(*) from reservations
  where agent_id = ${agentId} and kind = 'tool' and call_digest = ${callDigest}) + ${further}::int > ${limitOf('sameCalls')}, false)`;

const refusalOf = async (executor: Executor, { agentId, kind, tokens, callDigest }: ReserveRequest): Promise<ReservationRefusal> => {
  const [row] = await executor
    .select({
      open: sql<boolean>`${agents.state} = 'running' and ${runs.state} in ('starting', 'running')`,
      late: sql<boolean>`coalesce(${agents.deadlineAt} <= now(), false)`,
      steps: sql<boolean>`${agents.steps} + 1 > ${limitOf('steps')}`,
      calls: sql<boolean>`${agents.calls} + 1 > ${limitOf('calls')}`,
      tokens: sql<boolean>`${agents.tokens} + ${tokens}::bigint > ${limitOf('tokens')}`,
      repeats: sql<boolean>`${repeats(agentId, callDigest, 1)}`,
    })
    .from(agents)
    .innerJoin(runs, and(eq(runs.org, agents.org), eq(runs.project, agents.project), eq(runs.id, agents.runId)))
    .where(eq(agents.id, agentId));
  if (!row?.open) return 'ended';
  if (row.late) return 'limit_time';
  if (kind === 'model' && row.steps) return 'limit_steps';
  if (kind === 'tool' && row.calls) return 'limit_calls';
  if (kind === 'tool' && row.repeats) return 'limit_repeats';
  return 'limit_tokens';
};

/**
 * A first try within the limits, in one statement: the cost is added and the reservation written, or neither. Of two that come at the same
 * moment the second finds the reservation of the first and fails as a whole, because its key is taken.
 */
const reserveFirstTry = `
with charged as (
  update agents set steps = steps + $5, calls = calls + $6, tokens = tokens + $4::bigint, updated_at = now()
  from runs
  where agents.id = $1 and runs.org = agents.org and runs.project = agents.project and runs.id = agents.run_id
    and agents.state = 'running' and runs.state in ('starting', 'running') and coalesce(agents.deadline_at > now(), true)
    and agents.steps + $5 <= (agents.limits->>'steps')::bigint
    and agents.calls + $6 <= (agents.limits->>'calls')::bigint
    and agents.tokens + $4::bigint <= (agents.limits->>'tokens')::bigint
    and ($3::text <> 'tool' or agents.limits->>'sameCalls' is null or (agents.limits->>'sameCalls')::bigint >
      (select count(*) from reservations where agent_id = $1 and kind = 'tool' and call_digest = $7))
    and not exists (select 1 from reservations where agent_id = $1 and operation_id = $2)
  returning agents.id
)
insert into reservations (agent_id, operation_id, kind, tokens, call_digest, settled_at)
select $1, $2, $3, $4, $7, case when $3::text = 'tool' then now() end from charged`;

const uniqueViolation = '23505';

/** @returns whether the call was reserved; if not, it is a retry or over a limit, which the long way tells apart */
const reserveAtOnce = async (database: Database, { agentId, operationId, kind, tokens, callDigest }: ReserveRequest): Promise<boolean> => {
  const [step, call] = kind === 'model' ? [1, 0] : [0, 1];
  try {
    const values = [agentId, operationId, kind, tokens, step, call, callDigest];
    return (await database.$client.query(reserveFirstTry, values)).rowCount === 1;
  } catch (error) {
    if ((error as { code?: unknown }).code === uniqueViolation) return false;
    throw error;
  }
};

/**
 * Sets aside what a call may cost before it is made: a step and its worst-case tokens for a model, a call for a tool.
 * What a call of a tool costs is known before it, so its reservation is settled as it is made; that of a model by `settle`.
 * One conditional update decides, so concurrent calls cannot pass a limit together; a retry with the same operation id finds its own.
 * An id that comes back for another call (`callDigest`) is a `conflict`.
 */
export const reserve = (database: Database, request: ReserveRequest): Promise<Reservation> =>
  guarded(async () => {
    if (await reserveAtOnce(database, request)) return { ok: true };
    const { agentId, operationId, kind, tokens, callDigest } = request;
    try {
      return await database.transaction(async (transaction): Promise<Reservation> => {
        const mine = and(eq(reservations.agentId, agentId), eq(reservations.operationId, operationId));
        const inserted = await transaction
          .insert(reservations)
          .values({ agentId, operationId, kind, tokens, callDigest, settledAt: kind === 'tool' ? sql`now()` : null })
          .onConflictDoNothing()
          .returning({ agentId: reservations.agentId });
        const isRetry = inserted.length === 0;
        const [earlier] = isRetry ? await transaction.select().from(reservations).where(mine).for('update') : [];
        if (earlier && (earlier.kind !== kind || earlier.callDigest !== callDigest)) throw new Refused('conflict');
        if (earlier && earlier.tries >= mostTries) throw new Refused(kind === 'model' ? 'limit_steps' : 'limit_calls');
        // a model call whose answer was lost is made again, and costs again; its step was counted the first time
        const reopened = kind === 'model' && earlier !== undefined && earlier.settledAt !== null;
        if (earlier)
          await transaction
            .update(reservations)
            .set({ tries: sql`${reservations.tries} + 1`, ...(reopened ? { settledAt: null, tokens } : {}) })
            .where(mine);
        const step = !isRetry && kind === 'model' ? 1 : 0;
        const call = !isRetry && kind === 'tool' ? 1 : 0;
        const cost = isRetry && !reopened ? 0 : tokens;
        const updated = await transaction.execute(sql`
          update agents set steps = steps + ${step}, calls = calls + ${call}, tokens = tokens + ${cost}::bigint, updated_at = now()
          from runs
          where agents.id = ${agentId} and runs.org = agents.org and runs.project = agents.project and runs.id = agents.run_id
            and agents.state = 'running' and runs.state in ('starting', 'running') and coalesce(agents.deadline_at > now(), true)
            and agents.steps + ${step} <= (agents.limits->>'steps')::bigint
            and agents.calls + ${call} <= (agents.limits->>'calls')::bigint
            and agents.tokens + ${cost}::bigint <= (agents.limits->>'tokens')::bigint
            and (${isRetry || kind !== 'tool'} or not ${repeats(agentId, callDigest, 0)})`);
        if ((updated.rowCount ?? 0) === 0) throw new Refused(undefined);
        return { ok: true };
      });
    } catch (error) {
      if (error instanceof Refused) return { ok: false, reason: error.reason ?? (await refusalOf(database, request)) };
      throw error;
    }
  });

/**
 * Puts the true cost in the place of the reserved one, once. Costs are micro-dollars.
 * @param spent - undefined where the call failed before it cost anything: the tokens go back, the step or call stays used
 */
export const settle = (
  database: Database,
  { agentId, operationId }: { agentId: string; operationId: string },
  spent: { inputTokens: number; outputTokens: number; costMicroUsd: number } | undefined,
): Promise<void> =>
  guarded(() =>
    database.transaction(async (transaction) => {
      const [row] = await transaction
        .update(reservations)
        .set({ settledAt: sql`now()` })
        .where(and(eq(reservations.agentId, agentId), eq(reservations.operationId, operationId), isNull(reservations.settledAt)))
        .returning({ tokens: reservations.tokens });
      if (!row) return;
      const used = (spent?.inputTokens ?? 0) + (spent?.outputTokens ?? 0);
      await transaction
        .update(agents)
        .set({
          tokens: sql`greatest(0, ${agents.tokens} - ${row.tokens}::bigint + ${used}::bigint)`,
          inputTokens: sql`${agents.inputTokens} + ${spent?.inputTokens ?? 0}`,
          outputTokens: sql`${agents.outputTokens} + ${spent?.outputTokens ?? 0}`,
          costMicroUsd: sql`${agents.costMicroUsd} + ${spent?.costMicroUsd ?? 0}`,
        })
        .where(eq(agents.id, agentId));
    }),
  );

/** Counts a refused call of an agent, for its progress. */
export const countRefusal = (database: Database, agentId: string): Promise<void> =>
  guarded(async () => {
    await database
      .update(agents)
      .set({ refusals: sql`${agents.refusals} + 1` })
      .where(eq(agents.id, agentId));
  });

/**
 * Settles what nobody will any more: reservations of agents that have ended a while ago, whose gateway was killed or never heard that it had
 * reserved. They stay charged with the worst case: what was spent is not known, and is not to be less than what is charged.
 * @returns how many
 */
export const settleAbandoned = (database: Database, endedBefore: Date): Promise<number> =>
  guarded(async () => {
    const { rowCount } = await database.execute(sql`
      update reservations set settled_at = now() from agents
      where reservations.settled_at is null and agents.id = reservations.agent_id and agents.ended_at < ${endedBefore.toISOString()}::timestamptz`);
    return rowCount ?? 0;
  });
