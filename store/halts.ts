import { and, eq, inArray } from 'drizzle-orm';
import type { Halt, HaltKey } from '../schema/halt.ts';
import { halts } from '../schema/tables/tables.ts';
import { type Executor, guarded } from './database.ts';

const sameAs = ({ org, project, scope, name }: HaltKey) =>
  and(eq(halts.org, org), eq(halts.project, project), eq(halts.scope, scope), eq(halts.name, name));

const haltOf = ({ decisionId: _decisionId, haltedAt, ...row }: typeof halts.$inferSelect): Halt => ({
  ...row,
  haltedAt: haltedAt.toISOString(),
});

/** Puts a halt in force. @returns false where it was already, which then stays as it is */
export const putHalt = (
  executor: Executor,
  { haltedAt: _now, ...halt }: Omit<Halt, 'haltedAt'> & { haltedAt?: never; decisionId: string },
): Promise<boolean> =>
  guarded(async () => (await executor.insert(halts).values(halt).onConflictDoNothing().returning({ org: halts.org })).length > 0);

/** @returns what was lifted; undefined where nothing was halted */
export const liftHalt = (executor: Executor, key: HaltKey): Promise<Halt | undefined> =>
  guarded(async () => {
    const [row] = await executor.delete(halts).where(sameAs(key)).returning();
    return row && haltOf(row);
  });

/** Halts in force, the oldest first. @param place - of that org alone, and of one of its projects and the org as a whole where it is given */
export const listHalts = (executor: Executor, place: { org?: string; project?: string } = {}): Promise<Halt[]> =>
  guarded(async () => {
    const inOrg = place.org === undefined ? undefined : eq(halts.org, place.org);
    const inProject = place.project === undefined ? undefined : inArray(halts.project, [place.project, '']);
    const rows = await executor.select().from(halts).where(and(inOrg, inProject)).orderBy(halts.haltedAt, halts.scope, halts.name);
    return rows.map(haltOf);
  });

/** Whether a person is halted, for whoever asks for them alone. */
export const isPersonHalted = (executor: Executor, org: string, person: string): Promise<boolean> =>
  guarded(async () => {
    const key: HaltKey = { org, project: '', scope: 'person', name: person };
    return (await executor.select({ org: halts.org }).from(halts).where(sameAs(key)).limit(1)).length > 0;
  });
