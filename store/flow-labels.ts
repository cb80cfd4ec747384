import { and, eq, inArray, type SQL, sql } from 'drizzle-orm';
import { type FlowLabel, mostSources, noLabel } from '../schema/flow-label.ts';
import type { Tenancy } from '../schema/ids.ts';
import { flowLabels } from '../schema/tables/tables.ts';
import { type Executor, guarded } from './database.ts';

/** Whose label it is: an agent, or a client of a person. */
export type LabelKey = Tenancy & { subject: string };

export const agentSubject = (agentId: string): string => `agent:${agentId}`;

const at = ({ org, project, subject }: LabelKey) =>
  and(eq(flowLabels.org, org), eq(flowLabels.project, project), eq(flowLabels.subject, subject));

const among = ({ org, project }: Tenancy, subjects: readonly string[]) =>
  and(eq(flowLabels.org, org), eq(flowLabels.project, project), inArray(flowLabels.subject, [...subjects]));

const label = { secrecy: flowLabels.secrecy, tainted: flowLabels.tainted, sources: flowLabels.sources };

const bySubject = (rows: readonly (FlowLabel & { subject: string })[]): ReadonlyMap<string, FlowLabel> =>
  new Map(rows.map(({ subject, ...rest }) => [subject, rest]));

/** All that was read so far; nothing where there is no row. */
export const findLabel = (executor: Executor, key: LabelKey): Promise<FlowLabel> =>
  guarded(async () => {
    const [row] = await executor.select(label).from(flowLabels).where(at(key));
    return row ?? noLabel;
  });

/** Labels of several subjects, by subject; those that carry nothing are left out. */
export const findLabels = (executor: Executor, tenancy: Tenancy, subjects: readonly string[]): Promise<ReadonlyMap<string, FlowLabel>> =>
  guarded(async () => {
    if (subjects.length === 0) return new Map();
    const rows = await executor
      .select({ subject: flowLabels.subject, ...label })
      .from(flowLabels)
      .where(among(tenancy, subjects));
    return bySubject(rows);
  });

/** Sources of both, each once; as many as are kept by name. */
const joinedSources = (held: SQL, added: SQL): SQL =>
  sql`(select coalesce(jsonb_agg(source), '[]') from (
    select source from jsonb_array_elements(${held} || ${added}) with ordinality each(source, place)
    group by source order by min(place) limit ${mostSources}) joined)`;

/**
 * Joins a label to what a subject carries, in one statement that writes only where that changes something: whoever joins at the same moment,
 * at whichever replica, nothing is lost.
 * @returns what the subject carries now
 */
export const joinLabel = (executor: Executor, key: LabelKey, { secrecy, tainted, sources }: FlowLabel): Promise<FlowLabel> =>
  guarded(async () => {
    const held = sql`${flowLabels.sources}`;
    const added = sql`excluded.sources`;
    const [row] = await executor
      .insert(flowLabels)
      .values({ org: key.org, project: key.project, subject: key.subject, secrecy, tainted, sources })
      .onConflictDoUpdate({
        target: [flowLabels.org, flowLabels.project, flowLabels.subject],
        set: {
          secrecy: sql`greatest(${flowLabels.secrecy}, excluded.secrecy)`,
          tainted: sql`${flowLabels.tainted} or excluded.tainted`,
          sources: joinedSources(held, added),
          updatedAt: sql`now()`,
        },
        setWhere: sql`excluded.secrecy > ${flowLabels.secrecy} or (excluded.tainted and not ${flowLabels.tainted})
          or (not ${held} @> ${added} and jsonb_array_length(${held}) < ${mostSources})`,
      })
      .returning(label);
    return row ?? findLabel(executor, key);
  });

/** Puts down what new agents carry from the beginning; what one of them carries already stays. */
export const beginLabels = (
  executor: Executor,
  { org, project }: Tenancy,
  subjects: readonly string[],
  { secrecy, tainted, sources }: FlowLabel,
): Promise<void> =>
  guarded(async () => {
    if (subjects.length === 0 || (secrecy === 0 && !tainted)) return;
    await executor
      .insert(flowLabels)
      .values(subjects.map((subject) => ({ org, project, subject, secrecy, tainted, sources })))
      .onConflictDoNothing();
  });

/** Lets all fall that subjects carry. @returns what each of them carried */
export const releaseLabels = (executor: Executor, tenancy: Tenancy, subjects: readonly string[]): Promise<ReadonlyMap<string, FlowLabel>> =>
  guarded(async () => {
    if (subjects.length === 0) return new Map();
    const rows = await executor
      .delete(flowLabels)
      .where(among(tenancy, subjects))
      .returning({ subject: flowLabels.subject, ...label });
    return bySubject(rows);
  });
