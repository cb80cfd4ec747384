import type { NewAuditEvent } from '../schema/audit-event.ts';
import { isPlatformError } from '../schema/errors.ts';
import { auditColumns, auditFields, auditJson, auditValues } from './audit-rows.ts';
import { type Database, guarded, writerOf } from './database.ts';
import { createGroupCommit } from './group-commit.ts';

type Key = { org: string; project: string; principal: string; id: string };
/** An operation that is put down; it takes effect only where there is none of its id. */
export type Beginning = Key & {
  target: string;
  argumentsDigest: string;
  gatewayInstance: string;
  state: 'intent' | 'unknown';
};
/** An operation that ends. `outcome` is sealed, in base64; null where none is kept. */
export type Ending = Key & { to: 'settled' | 'unknown' | 'released'; outcome: string | null };

/** What is committed together with its audit row; some changes are the row alone. */
export type OperationChange = { event: NewAuditEvent; beginning?: Beginning; ending?: Ending };

const keyNames = ['org', 'project', 'principal', 'id'];
const key = keyNames.join(', ');
const keyFields = keyNames.map((name) => `${name} text`).join(', ');
const sameKey = (left: string, right: string): string => keyNames.map((name) => `${left}.${name} = ${right}.${name}`).join(' and ');

/**
 * Everything in one statement, so in one round trip and one commit. Its parts look at the same moment and touch different operations.
 * Beginnings go in by the order of their keys: two gateways that insert the same ones wait for each other in one direction only.
 */
const commitChanges = `
with beginning as materialized (
  select * from jsonb_to_recordset($1::jsonb) as b(n int, ${keyFields}, target text, "argumentsDigest" text, "gatewayInstance" text, state text)
), begun as (
  insert into operations (${key}, target, arguments_digest, state, gateway_instance)
  select ${key}, target, "argumentsDigest", state, "gatewayInstance" from beginning order by ${key}
  on conflict do nothing
  returning ${key}
), started as materialized (
  select n from beginning join begun using (${key})
), ending as materialized (
  select * from jsonb_to_recordset($2::jsonb) as e(${keyFields}, "to" text, outcome text)
), ended as (
  update operations o
  set state = e."to", outcome = coalesce(decode(e.outcome, 'base64'), o.outcome), settled_at = case e."to" when 'settled' then now() end
  from ending e
  where ${sameKey('o', 'e')} and e."to" <> 'released' and (o.state = 'intent' or (o.state = 'unknown' and e."to" = 'settled'))
), released as (
  delete from operations o using ending e where ${sameKey('o', 'e')} and e."to" = 'released' and o.state = 'intent'
), logged as (
  insert into audit_events (${auditColumns})
  select ${auditValues} from jsonb_to_recordset($3::jsonb) as r(position int, begins int, ${auditFields})
  where r.begins is null or r.begins in (select n from started)
  order by r.position
)
select n from started`;

/** Where statements go; that of the database by default. */
export type Writer = Pick<ReturnType<typeof writerOf>, 'query'>;

const logAlone = `
insert into audit_events (${auditColumns}) select ${auditValues} from jsonb_to_recordset($1::jsonb) as r(${auditFields})`;

const write = (writer: Writer, changes: readonly OperationChange[]): Promise<ReadonlySet<number>> =>
  guarded(async () => {
    const beginnings = changes.flatMap(({ beginning }, n) => (beginning ? [{ n, ...beginning }] : []));
    const endings = changes.flatMap(({ ending }) => (ending ? [ending] : []));
    const rows = changes.map(({ event, beginning }, position) => ({ position, ...(beginning ? { begins: position } : {}), ...event }));
    if (beginnings.length + endings.length === 0) {
      await writer.query({ name: 'log-operations', text: logAlone, values: [auditJson(rows)] });
      return new Set();
    }
    const { rows: started } = await writer.query<{ n: number }>({
      name: 'commit-operations',
      text: commitChanges,
      values: [JSON.stringify(beginnings), JSON.stringify(endings), auditJson(rows)],
    });
    return new Set(started.map(({ n }) => n));
  });

type Written = { isDone: boolean } | { error: unknown };

/** Two changes of one operation cannot be parts of one statement: of these all but the first are written after it. */
const inRounds = (changes: readonly OperationChange[]): number[][] => {
  const rounds: number[][] = [];
  const seen = new Map<string, number>();
  for (const [index, { beginning, ending }] of changes.entries()) {
    const { org, project, principal, id } = beginning ?? ending ?? {};
    const name = `${org}/${project}/${principal}/${id}`;
    const round = id === undefined ? 0 : (seen.get(name) ?? 0);
    seen.set(name, round + 1);
    rounds[round] = [...(rounds[round] ?? []), index];
  }
  return rounds;
};

/**
 * Commits beginnings and endings of operations, with their audit rows; those of many calls in one commit.
 * @returns `(change)` → whether it took effect: a beginning does not where there is an operation of its id; anything else always does
 * @throws {PlatformError} `store_unavailable`: the change may or may not have been committed
 */
export const createOperationCommits = (
  database: Database,
  writer: Writer = writerOf(database),
): ((change: OperationChange) => Promise<boolean>) => {
  const writeAll = async (changes: readonly OperationChange[]): Promise<Written[]> => {
    try {
      const started = await write(writer, changes);
      return changes.map((change, n) => ({ isDone: change.beginning === undefined || started.has(n) }));
    } catch (error) {
      if (changes.length === 1 || (isPlatformError(error) && error.code === 'store_unavailable')) return changes.map(() => ({ error }));
      // one change that the database refuses must not take others with it
      return (await Promise.all(changes.map((change) => writeAll([change])))).flat();
    }
  };

  const commits = createGroupCommit<OperationChange, Written>({
    flush: async (changes) => {
      const results: Written[] = [];
      for (const round of inRounds(changes)) {
        const written = await writeAll(round.map((index) => changes[index] as OperationChange));
        for (const [position, index] of round.entries()) results[index] = written[position] as Written;
      }
      return results;
    },
  });

  return async (change) => {
    const written = await commits.add(change);
    if ('error' in written) throw written.error;
    return written.isDone;
  };
};
