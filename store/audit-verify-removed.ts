import { createHash, type Hash } from 'node:crypto';
import type { AuditBreach, AuditVerification } from '../schema/audit-verification.ts';
import type { Tenancy } from '../schema/ids.ts';
import { AuditRemovalSchema, leastKeptMs, retentionAction } from '../schema/retention.ts';
import { isRowAsWritten, type StoredRow } from './audit-verify-link.ts';

type Gone = Tenancy & { first: StoredRow; rows: number; digest: Hash };
type Recorded = Tenancy & { row: StoredRow; rows: number; digest: string; before: string };

const recordOf = (row: StoredRow): [string, Recorded] | undefined => {
  const { action, org, project, facts } = row.event;
  const said = action === retentionAction ? AuditRemovalSchema.safeParse(facts).data : undefined;
  return said && isRowAsWritten(row)
    ? [said.removal, { org, project, row, rows: said.rows, digest: said.digest, before: said.before }]
    : undefined;
};

const breach = ({ writer, epoch, link, sequence }: StoredRow, message: string): AuditBreach => ({
  kind: 'row-missing',
  writer,
  epoch,
  link,
  sequence,
  message,
});

/**
 * Holds rows of which only the digest is left against what the chain says retention removed: exactly those, of that project, and none
 * younger than retention may take. Whoever takes a row out by hand, digest or not, finds no row of the chain that says so.
 */
export const createRemovalCheck = (report: (breach: AuditBreach) => void) => {
  const gone = new Map<string, Gone>();
  const recorded = new Map<string, Recorded>();

  const faultOf = (id: string, { org, project, rows, digest }: Gone): string | undefined => {
    const record = recorded.get(id);
    const some = rows === 1 ? 'a row was' : `${rows} rows, from this one on, were`;
    if (!record) return `${some} taken out by somebody: no row of the chain says that retention did`;
    if (record.org !== org || record.project !== project) return `${some} taken out by the retention of another project`;
    if (record.rows !== rows || record.digest !== digest.digest('hex'))
      return `${some} taken out, and row ${record.row.sequence} says that retention took ${record.rows} that are not the same`;
    if (Date.parse(record.before) > Date.parse(record.row.at) - leastKeptMs) return `${some} taken out that were younger than a day`;
    return undefined;
  };

  return {
    /** Each row in the order of chains. */
    next: (row: StoredRow): void => {
      const record = recordOf(row);
      if (record) recorded.set(...record);
      if (row.removal === undefined) return;
      const { org, project } = row.event;
      const one = gone.get(row.removal) ?? { org, project, first: row, rows: 0, digest: createHash('sha256') };
      // a row that says it is of another project than those of its removal makes the digest another one
      if (one.org === org && one.project === project) {
        one.rows += 1;
        one.digest.update(`${row.writer} ${row.epoch} ${row.link} ${row.position} ${row.digest?.toString('hex')}\n`);
      }
      gone.set(row.removal, one);
    },
    /** @returns what retention removed, by project */
    end: (): AuditVerification['removed'] => {
      const removed = new Map<string, AuditVerification['removed'][number]>();
      for (const [id, one] of gone) {
        const fault = faultOf(id, one);
        if (fault !== undefined) {
          report(breach(one.first, fault));
          continue;
        }
        const { row, before } = recorded.get(id) as Recorded;
        const { org, project, rows } = one;
        const last = removed.get(`${org}/${project}`);
        removed.set(`${org}/${project}`, {
          org,
          project,
          rows: rows + (last?.rows ?? 0),
          before: last && last.before > before ? last.before : before,
          lastAt: last && last.lastAt > row.at ? last.lastAt : row.at,
        });
      }
      return [...removed.values()];
    },
  };
};
