import type { NewAuditEvent } from '../schema/audit-event.ts';
import { type ChainPlace, linkParts } from './audit-chain.ts';
import { commitLink, type PreparedLink, prepareLink } from './audit-copy.ts';
import { type AuditEpoch, isInDoubt, type Queryable } from './audit-epoch.ts';
import type { AuditLog } from './audit-log.ts';
import type { Riders } from './audit-rides.ts';
import { type AuditEntry, auditRows } from './audit-rows.ts';
import type { AuditWriter } from './audit-writer.ts';
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
type Timed = OperationChange & AuditEntry;

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
  select * from jsonb_to_recordset($6::jsonb) as b(n int, ${keyFields}, target text, "argumentsDigest" text, "gatewayInstance" text, state text)
), begun as (
  insert into operations (${key}, target, arguments_digest, state, gateway_instance)
  select ${key}, target, "argumentsDigest", state, "gatewayInstance" from beginning order by ${key}
  on conflict do nothing
  returning ${key}
), started as materialized (
  select n from beginning join begun using (${key})
), ending as materialized (
  select * from jsonb_to_recordset($7::jsonb) as e(${keyFields}, "to" text, outcome text)
), ended as (
  update operations o
  set state = e."to", outcome = coalesce(decode(e.outcome, 'base64'), o.outcome), settled_at = case e."to" when 'settled' then now() end
  from ending e
  where ${sameKey('o', 'e')} and e."to" <> 'released' and (o.state = 'intent' or (o.state = 'unknown' and e."to" = 'settled'))
), released as (
  delete from operations o using ending e where ${sameKey('o', 'e')} and e."to" = 'released' and o.state = 'intent'
), ${linkParts({ fields: 'begins int', where: 'r.begins is null or r.begins in (select n from started)' })}
select hash, (select coalesce(array_agg(n), '{}') from started) as started from linked`;

/** Where statements go; that of the database by default. */
export type Writer = Pick<ReturnType<typeof writerOf>, 'query'>;

/** So many rows that nobody waits for go along with a commit: they make it a tenth longer. */
const mostRiders = 50;

/** A change that is a row of the audit and nothing else. */
const isRowAlone = ({ beginning, ending }: OperationChange): boolean => beginning === undefined && ending === undefined;

/** @returns the hash of the link, and which beginnings took effect, by their index */
const write = (writer: Writer, changes: readonly Timed[], place: ChainPlace): Promise<{ hash: Buffer; result: ReadonlySet<number> }> =>
  guarded(async () => {
    const beginnings = changes.flatMap(({ beginning }, n) => (beginning ? [{ n, ...beginning }] : []));
    const endings = changes.flatMap(({ ending }) => (ending ? [ending] : []));
    const { writer: name, epoch, number, previous } = place;
    const { json } = auditRows(changes, (index) => changes[index]?.beginning !== undefined);
    const values = [json, name, epoch, number, previous, JSON.stringify(beginnings), JSON.stringify(endings)];
    const { rows } = await writer.query<{ hash: Buffer; started: number[] }>({ name: 'commit-operations', text: commitChanges, values });
    const { hash, started } = rows[0] as { hash: Buffer; started: number[] };
    return { hash, result: new Set(started) };
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

export type OperationCommits = {
  /** @returns whether it took effect: a beginning does not where there is an operation of its id; anything else always does */
  commit(change: OperationChange): Promise<boolean>;
  /** Ends the chain; nothing is committed after it. */
  close(): Promise<void>;
};

/**
 * Commits beginnings and endings of operations, with their audit rows; those of many calls in one commit, which is one link of a chain of
 * their own: what waits for it waits for few of the rows that nobody waits for.
 * @param rows - some of which go along where rows alone are committed: a commit fewer, and no second one for the disk to get in between
 * @throws {PlatformError} `store_unavailable`: the change may or may not have been committed
 */
export const createOperationCommits = (
  database: Database,
  log: AuditLog,
  writer: Writer = writerOf(database),
  rows?: Pick<AuditWriter, 'ride'>,
): OperationCommits => {
  const epoch: AuditEpoch = log.openEpoch();

  /** Rows that wait elsewhere, for a commit of ours. Whose pseudonyms have to be asked for is left: nobody waits here for those. */
  const takeRiders = (): Riders | undefined => {
    const riders = rows?.ride(mostRiders);
    const asking = riders && log.prepare(riders.entries);
    if (!(asking instanceof Promise)) return riders;
    asking.catch(() => undefined);
    riders?.refused();
    return undefined;
  };

  /** Rows alone, and with them others that nobody waits for. */
  const writeRows = async (changes: readonly Timed[], riders?: Riders): Promise<Written[]> => {
    let tried: PreparedLink | undefined;
    try {
      await epoch.append(async (at) => {
        const link = prepareLink(riders ? [...changes, ...riders.entries] : changes, at);
        tried = link;
        await guarded(() => commitLink(writer, link));
        return { hash: link.hash, result: undefined };
      });
      riders?.written();
      return changes.map(() => ({ isDone: true }));
    } catch (error) {
      if (isInDoubt(error)) {
        epoch.breakOff();
        if (tried) riders?.doubtful(tried.place, tried.hash);
        else riders?.refused();
        return changes.map(() => ({ error }));
      }
      riders?.refused();
      if (riders === undefined && changes.length === 1) return [{ error }];
      const written: Written[] = [];
      for (const change of changes) written.push(...(await writeRows([change])));
      return written;
    }
  };

  const writeAll = async (changes: readonly Timed[]): Promise<Written[]> => {
    if (changes.every(isRowAlone)) return writeRows(changes, takeRiders());
    try {
      const started = await epoch.append((at) => write(writer, changes, at));
      return changes.map((change, n) => ({ isDone: change.beginning === undefined || started.has(n) }));
    } catch (error) {
      // callers are told that nobody knows, and come back with new rows: these are not tried again
      if (isInDoubt(error)) epoch.breakOff();
      if (changes.length === 1 || isInDoubt(error)) return changes.map(() => ({ error }));
      // one change that the database refuses must not take others with it; links follow one another
      const written: Written[] = [];
      for (const change of changes) written.push(...(await writeAll([change])));
      return written;
    }
  };

  const commits = createGroupCommit<Timed, Written>({
    flush: async (changes) => {
      await log.prepare(changes);
      const results: Written[] = [];
      for (const round of inRounds(changes)) {
        const written = await writeAll(round.map((index) => changes[index] as Timed));
        for (const [position, index] of round.entries()) results[index] = written[position] as Written;
      }
      return results;
    },
  });

  return {
    commit: async (change) => {
      const written = await commits.add({ ...change, atMs: Date.now() });
      if ('error' in written) throw written.error;
      return written.isDone;
    },
    close: async () => {
      await commits.drained();
      await epoch.close(writer as Queryable).catch(() => undefined);
    },
  };
};
