import { and, eq, inArray, sql } from 'drizzle-orm';
import type { Tenancy } from '../schema/ids.ts';
import { usedAgainMs } from '../schema/retention.ts';
import { decisionFacts } from '../schema/tables/tables.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type Database, type Executor, guarded } from './database.ts';
import { createGroupCommit } from './group-commit.ts';

/** What a decision was made on, in part, under the digest that rows of the audit refer to it by. */
export type StoredFacts = { digest: string; value: unknown };
type Noted = Tenancy & StoredFacts;

/**
 * Puts facts down that are not there yet, and marks the others as used; what has a digest never changes. The marking comes first: what
 * retention takes at this moment is waited for, and put down anew. Only what was not used for hours is marked, so that transactions that
 * note the same facts do not wait for each other.
 */
export const insertDecisionFacts = (executor: Executor, facts: readonly Noted[]): Promise<void> =>
  guarded(async () => {
    const rows = facts
      .map(({ org, project, digest, value }) => ({ org, project, digest, value }))
      // in one order, so that two who write the same ones wait for each other in one direction only
      .sort((one, other) => (one.digest < other.digest ? -1 : 1));
    if (rows.length === 0) return;
    const places = sql.join(
      rows.map(({ org, project, digest }) => sql`(${org}, ${project}, ${digest})`),
      sql`, `,
    );
    await executor.execute(sql`
      update decision_facts set used_at = now()
      where (org, project, digest) in (${places}) and used_at < now() - ${usedAgainMs} * interval '1 millisecond'`);
    await executor.insert(decisionFacts).values(rows).onConflictDoNothing();
  });

/** @returns what is there of a project, by digest */
export const readDecisionFacts = (
  database: Database,
  { org, project }: Tenancy,
  digests: Iterable<string>,
): Promise<Map<string, unknown>> =>
  guarded(async () => {
    const wanted = [...new Set(digests)];
    const found = new Map<string, unknown>();
    const atOnce = 1000;
    for (let from = 0; from < wanted.length; from += atOnce) {
      const rows = await database
        .select({ digest: decisionFacts.digest, value: decisionFacts.value })
        .from(decisionFacts)
        .where(
          and(
            eq(decisionFacts.org, org),
            eq(decisionFacts.project, project),
            inArray(decisionFacts.digest, wanted.slice(from, from + atOnce)),
          ),
        );
      for (const { digest, value } of rows) found.set(digest, value);
    }
    return found;
  });

/** How many are remembered as written; after so many all are forgotten, and written again to no effect. */
const mostKnown = 50_000;

export type DecisionFactsWriter = ReturnType<typeof createDecisionFactsWriter>;

/**
 * Writes facts down once, in the background: many decisions are made on the same ones. What could not be written is tried again by the
 * next decision that is made on it.
 */
export const createDecisionFactsWriter = ({
  database,
  logger,
  insert = (facts) => insertDecisionFacts(database, facts),
  now = Date.now,
}: {
  database: Database;
  logger: Logger;
  insert?: (facts: readonly Noted[]) => Promise<void>;
  now?: () => number;
}) => {
  const known = new Set<string>();
  let knownSinceMs = now();
  const commits = createGroupCommit<Noted, undefined>({
    flush: async (facts) => {
      // one statement cannot meet its own row again
      await insert([...new Map(facts.map((each) => [`${each.org}/${each.project}/${each.digest}`, each])).values()]);
      return facts.map(() => undefined);
    },
  });

  return {
    /**
     * @param basis - what refers to all of the parts, so that one look tells whether they were written
     * @param parts - made only when they have to be
     */
    note: ({ org, project }: Tenancy, basis: string, parts: () => readonly StoredFacts[]): void => {
      const key = `${org}/${project} ${basis}`;
      const nowMs = now();
      // what is used all the time is written again now and then: retention takes what is not
      if (nowMs - knownSinceMs > usedAgainMs) {
        known.clear();
        knownSinceMs = nowMs;
      }
      if (known.has(key)) return;
      if (known.size >= mostKnown) known.clear();
      known.add(key);
      for (const { digest, value } of parts()) {
        const part = `${org}/${project} ${digest}`;
        if (known.has(part)) continue;
        known.add(part);
        commits.add({ org, project, digest, value }).catch((error: unknown) => {
          known.delete(part);
          known.delete(key);
          logger.warn({ err: error, digest }, 'facts of a decision could not be written; the next one on them tries again');
        });
      }
    },
    /** Waits until what was noted before the call was tried. */
    drained: commits.drained,
  };
};
