import { and, asc, eq, inArray, isNotNull, isNull, sql } from 'drizzle-orm';
import { PlatformError } from '../schema/errors.ts';
import type { AgentLimits } from '../schema/resources/agent-role.ts';
import type { AgentState, ParkReason, ResumeRun } from '../schema/run.ts';
import { agents, people, runs } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';
import type { RunKey } from './runs.ts';

type Row = typeof agents.$inferSelect;
export type Agent = Omit<Row, 'state' | 'reason'> & { state: AgentState; reason: ParkReason | null };
export type NewAgent = Pick<Row, 'id' | 'org' | 'project' | 'runId' | 'stage' | 'role' | 'ordinal' | 'inputDigest' | 'assignedPaths'> & {
  limits: AgentLimits;
};

const toAgent = (row: Row): Agent => row as Agent;

/** Writes the rows of a stage's agents; those that are there already stay as they are, so a retry adds none. */
export const insertAgents = (database: Database, rows: NewAgent[]): Promise<void> =>
  guarded(async () => {
    if (rows.length > 0)
      await database
        .insert(agents)
        .values(rows.map((row) => ({ ...row, state: 'pending' })))
        .onConflictDoNothing();
  });

/** @throws {PlatformError} `not_found` */
export const getAgent = (database: Database, id: string): Promise<Agent> =>
  guarded(async () => {
    const [row] = await database.select().from(agents).where(eq(agents.id, id));
    if (!row) throw new PlatformError('not_found', `There is no agent ${id}.`);
    return toAgent(row);
  });

const itsRun = and(eq(runs.org, agents.org), eq(runs.project, agents.project), eq(runs.id, agents.runId));
/** The person on whose behalf a run's agents act: shut out, they act for nobody. */
const itsPerson = and(eq(people.org, runs.org), eq(people.id, runs.startedBy));

/** An agent with its run: what the issuer and the gateway need to know before they believe in it. */
export const findAgentWithRun = (
  database: Database,
  id: string,
): Promise<{ agent: Agent; run: typeof runs.$inferSelect; isPersonDisabled: boolean } | undefined> =>
  guarded(async () => {
    const [row] = await database
      .select({ agent: agents, run: runs, isPersonDisabled: people.disabled })
      .from(agents)
      .innerJoin(runs, itsRun)
      .leftJoin(people, itsPerson)
      .where(eq(agents.id, id));
    return row && { agent: toAgent(row.agent), run: row.run, isPersonDisabled: row.isPersonDisabled === true };
  });

/** Of these agents, those whose tokens are good: at work, in a run that is and was not revoked, for a person who is not shut out. */
export const findWorkingAgents = (database: Database, ids: readonly string[]): Promise<Set<string>> =>
  guarded(async () => {
    const rows = await database
      .select({ id: agents.id })
      .from(agents)
      .innerJoin(runs, itsRun)
      .leftJoin(people, itsPerson)
      .where(
        and(
          inArray(agents.id, [...ids]),
          eq(agents.state, 'running'),
          inArray(runs.state, ['starting', 'running']),
          isNull(runs.revokedAt),
          sql`${people.disabled} is not true`,
        ),
      );
    return new Set(rows.map(({ id }) => id));
  });

export const listAgents = (database: Database, { org, project, id }: RunKey, stage?: string): Promise<Agent[]> =>
  guarded(async () => {
    const rows = await database
      .select()
      .from(agents)
      .where(and(eq(agents.org, org), eq(agents.project, project), eq(agents.runId, id), stage ? eq(agents.stage, stage) : undefined))
      .orderBy(asc(agents.createdAt), asc(agents.stage), asc(agents.ordinal));
    return rows.map(toAgent);
  });

/** Begins an agent, or finds it begun; the time limit runs from its first beginning. Ended agents stay ended. */
export const beginAgent = (database: Database, id: string): Promise<Agent> =>
  guarded(async () => {
    await database
      .update(agents)
      .set({
        state: 'running',
        deadlineAt: sql`coalesce(${agents.deadlineAt}, now() + make_interval(secs => (${agents.limits}->>'timeSeconds')::int))`,
        updatedAt: sql`now()`,
      })
      .where(and(eq(agents.id, id), inArray(agents.state, ['pending', 'running'])));
    return getAgent(database, id);
  });

/** Keeps the newest transcript of a running agent. */
export const setTranscript = (database: Database, id: string, transcriptDigest: string): Promise<void> =>
  guarded(async () => {
    await database
      .update(agents)
      .set({ transcriptDigest, updatedAt: sql`now()` })
      .where(and(eq(agents.id, id), eq(agents.state, 'running')));
  });

/** Puts down that an agent waits for people: for their approval, or (null) until they lift what is halted. */
export const beginWait = (database: Database, id: string, approvalId: string | null): Promise<void> =>
  guarded(async () => {
    await database
      .update(agents)
      .set({ approvalId, waitingSince: sql`now()`, updatedAt: sql`now()` })
      .where(and(eq(agents.id, id), eq(agents.state, 'running')));
  });

/** Ends the wait, if there is one; its time is not counted as the agent's. */
export const endWait = (database: Database, id: string): Promise<void> =>
  guarded(async () => {
    await database
      .update(agents)
      .set({
        approvalId: null,
        waitingSince: null,
        deadlineAt: sql`${agents.deadlineAt} + (now() - ${agents.waitingSince})`,
        updatedAt: sql`now()`,
      })
      .where(and(eq(agents.id, id), isNotNull(agents.waitingSince)));
  });

type AgentEnd =
  | { state: 'done'; outputDigest: string }
  | { state: 'parked' | 'failed'; reason: ParkReason; detail: string }
  | { state: 'cancelled' };

/** Ends a running agent; an agent that has ended already keeps its first end. */
export const endAgent = (database: Database, id: string, end: AgentEnd): Promise<void> =>
  guarded(async () => {
    await database
      .update(agents)
      .set({ ...end, approvalId: null, waitingSince: null, updatedAt: sql`now()`, endedAt: sql`now()` })
      .where(and(eq(agents.id, id), inArray(agents.state, ['pending', 'running'])));
  });

/** Sets parked agents of a run back to `pending` with more of what they ran out of. @returns how many */
export const unparkAgents = (database: Database, { org, project, id }: RunKey, resume: ResumeRun): Promise<number> =>
  guarded(async () => {
    const rows = await database
      .update(agents)
      .set({
        state: 'pending',
        reason: null,
        detail: null,
        endedAt: null,
        deadlineAt: null,
        limits: sql`jsonb_build_object(
          'steps', (${agents.limits}->>'steps')::int + ${resume.addSteps}::int,
          'calls', (${agents.limits}->>'calls')::int + ${resume.addCalls}::int,
          'tokens', (${agents.limits}->>'tokens')::bigint + ${resume.addTokens}::bigint,
          'timeSeconds', (${agents.limits}->>'timeSeconds')::int + ${resume.addSeconds}::int)`,
        updatedAt: sql`now()`,
      })
      .where(
        and(
          eq(agents.org, org),
          eq(agents.project, project),
          eq(agents.runId, id),
          inArray(agents.state, ['parked', 'failed']),
          resume.agents ? inArray(agents.id, resume.agents) : undefined,
        ),
      )
      .returning({ id: agents.id });
    return rows.length;
  });
