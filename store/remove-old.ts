import { sql } from 'drizzle-orm';
import type { Tenancy } from '../schema/ids.ts';
import type { AuditRemoval, RetainedKind } from '../schema/retention.ts';
import { contents, decisionFacts } from '../schema/tables/tables.ts';
import type { AuditLog } from './audit-log.ts';
import { type Database, type Executor, guarded } from './database.ts';
import { newRemovalId, removalEvent } from './removal-event.ts';
import { isAloneInRetention, noteRemoved } from './retention-progress.ts';

/** Rows of one transaction: a few milliseconds, in which nobody who writes waits. */
const batchRows = 500;

type Batch = { rows: number; facts: Record<string, string | number> };

/** Their digests stay, under the id of the removal; only what is said to be removed by a row of the chain counts as that. */
const removeAuditRows = async (within: Executor, { org, project }: Tenancy, before: Date, limit: number, id: string): Promise<Batch> => {
  const { rows } = await within.execute<{ rows: number; unchained: number; digest: Buffer }>(
    sql`select * from remove_audit_rows(${org}, ${project}, ${before.toISOString()}::timestamptz, ${limit}, ${id})`,
  );
  const { rows: count = 0, unchained = 0, digest } = rows[0] ?? {};
  const facts: AuditRemoval = {
    removed: 'audit',
    removal: id,
    rows: count - unchained,
    digest: digest?.toString('hex') ?? '',
    before: before.toISOString(),
  };
  return { rows: count, facts: { ...facts, ...(unchained > 0 ? { unchained } : {}) } };
};

/** A row that somebody uses again at this moment is passed over: whoever uses it first marks it as used. */
const removeUnused = async (
  within: Executor,
  what: 'contents' | 'decisionFacts',
  { org, project }: Tenancy,
  before: Date,
  limit: number,
): Promise<Batch> => {
  const table = what === 'contents' ? contents : decisionFacts;
  const { rowCount } = await within.execute(sql`
    delete from ${table} where org = ${org} and project = ${project} and digest in (
      select digest from ${table} where org = ${org} and project = ${project} and used_at < ${before.toISOString()}::timestamptz
      order by used_at limit ${limit} for update skip locked)`);
  const rows = rowCount ?? 0;
  return { rows, facts: { removed: what, rows, before: before.toISOString() } };
};

/**
 * Takes from operations what they ended with. The operation stays, with the digest of its arguments: whoever comes back with its id finds that
 * it was made, and it is not made again.
 */
const removeOutcomes = async (within: Executor, { org, project }: Tenancy, before: Date, limit: number): Promise<Batch> => {
  const { rowCount } = await within.execute(sql`
    update operations set outcome = null where (org, project, principal, id) in (
      select org, project, principal, id from operations
      where org = ${org} and project = ${project} and state = 'settled' and outcome is not null
        and settled_at < ${before.toISOString()}::timestamptz
      limit ${limit} for update skip locked)`);
  const rows = rowCount ?? 0;
  return { rows, facts: { removed: 'outcomes', rows, before: before.toISOString() } };
};

/**
 * Removes one batch of what a project does not keep any more, and puts that on record, in one transaction: a kill leaves all of it or
 * nothing. Two who do it at once do not meet: the second finds nothing to do.
 * @param options.before - older rows of the audit, and what was not used since
 * @returns how many rows went; none when all is done, or another one is at it
 */
export const removeOld = (
  { database, audit }: { database: Database; audit: AuditLog },
  tenancy: Tenancy,
  what: RetainedKind,
  { before, at, limit = batchRows }: { before: Date; at: Date; limit?: number },
): Promise<number> =>
  guarded(() =>
    database.transaction(async (transaction) => {
      if (!(await isAloneInRetention(transaction))) return 0;
      const id = newRemovalId();
      const { rows, facts } =
        what === 'audit'
          ? await removeAuditRows(transaction, tenancy, before, limit, id)
          : what === 'outcomes'
            ? await removeOutcomes(transaction, tenancy, before, limit)
            : await removeUnused(transaction, what, tenancy, before, limit);
      if (rows === 0) return 0;
      await noteRemoved(transaction, tenancy, what, { before, at, rows });
      await audit.append(transaction, [removalEvent(tenancy, id, facts)]);
      return rows;
    }),
  );
