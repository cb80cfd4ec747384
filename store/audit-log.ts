import { randomBytes } from 'node:crypto';
import { type SQL, sql } from 'drizzle-orm';
import type { NewAuditEvent } from '../schema/audit-event.ts';
import { appendLink, type ChainName, chainBegin, closeLink, linkValues } from './audit-chain.ts';
import { createEpoch } from './audit-epoch.ts';
import { createAuditPeople } from './audit-people.ts';
import type { AuditEntry } from './audit-rows.ts';
import { type Database, type Executor, guarded } from './database.ts';
import { type ContentKeys, deriveContentKeys } from './secrets/seal.ts';

/** Chains for transactions that run at the same time; more of them wait for each other. */
const transactionChains = 8;
/** Connections that looking up pseudonyms may take. */
const lookUpsAtOnce = 4;

/** Who a transaction belongs to, so that its rows stand or fall with it. */
type Transactional = Executor & Pick<Database, 'transaction'>;

/** A statement with numbered parameters, for an executor that wants them in their places. */
const bound = (text: string, values: readonly unknown[]): SQL =>
  sql.join(text.split(/\$(\d+)/).map((part, index) => (index % 2 === 0 ? sql.raw(part) : sql`${values[Number(part) - 1]}`)));

/**
 * A free chain of this writer, held until the transaction ends. Which one does not matter; that two do not go on from the same link does.
 * Nobody waits for one as long as there are fewer transactions than chains, so no two wait for each other in a circle.
 */
const holdChain = async (transaction: Executor, writer: string): Promise<ChainName> => {
  const lockOf = (epoch: SQL) => sql`hashtextextended(${`quarterdeck/audit/${writer}/`} || ${epoch}, 0)`;
  const { rows } = await transaction.execute<{ epoch: number }>(
    sql`select epoch from generate_series(1, ${transactionChains}::int) epoch where pg_try_advisory_xact_lock(${lockOf(sql`epoch`)}) limit 1`,
  );
  const epoch = rows[0]?.epoch ?? 1 + Math.floor(Math.random() * transactionChains);
  if (!rows[0]) await transaction.execute(sql`select pg_advisory_xact_lock(${lockOf(sql`${epoch}::text`)})`);
  return { writer, epoch };
};

/**
 * The audit as one process writes it: a writer with a name of its own, its chains, and the pseudonyms of people.
 * @param options.process - what kind of process this is, e.g. `gateway`
 * @param options.key - 32 bytes in base64, the same for all processes of an installation: seals who stands behind pseudonyms
 * @param options.peopleKeys - in its place, where keys rotate (`openSealRing`)
 */
export const createAuditLog = ({
  database,
  process,
  key,
  peopleKeys = deriveContentKeys(key, 'audit-people'),
}: {
  database: Database;
  process: string;
  key: string;
  peopleKeys?: ContentKeys;
}) => {
  const writer = `${process}-${randomBytes(6).toString('hex')}`;
  const people = createAuditPeople({ database, keys: peopleKeys });
  let lastEpoch = transactionChains;

  /** Finds the pseudonyms of people; asks the database only for those who were not seen lately, and is a promise only then. */
  const prepare = (entries: readonly AuditEntry[]): void | Promise<void> => {
    const strangers: AuditEntry[] = [];
    for (const entry of entries) {
      const { org, person } = entry.event;
      if (person === null || person === undefined) continue;
      const pseudonym = people.known({ org, id: person });
      if (pseudonym === undefined) strangers.push(entry);
      else entry.pseudonym = pseudonym;
    }
    if (strangers.length > 0) return ask(strangers);
  };

  /** Each is asked for once, several at a time. */
  const ask = async (strangers: readonly AuditEntry[]): Promise<void> => {
    const byPerson = [...Map.groupBy(strangers, ({ event: { org, person } }) => JSON.stringify([org, person])).values()];
    for (let index = 0; index < byPerson.length; index += lookUpsAtOnce)
      await Promise.all(
        byPerson.slice(index, index + lookUpsAtOnce).map(async (entries) => {
          const { org, person } = (entries[0] as AuditEntry).event;
          const pseudonym = await people.pseudonymOf({ org, id: person as string });
          for (const entry of entries) entry.pseudonym = pseudonym;
        }),
      );
  };

  return {
    writer,
    people,
    prepare,
    /** A chain for a way to the database of its own. */
    openEpoch: () =>
      createEpoch({
        writer,
        next: () => {
          lastEpoch += 1;
          return lastEpoch;
        },
      }),
    /** Adds rows, in the given order. Inside a transaction they stand or fall with what they record. */
    append: (executor: Transactional, events: readonly NewAuditEvent[]): Promise<void> =>
      guarded(async () => {
        if (events.length === 0) return;
        const rows: AuditEntry[] = events.map((event) => ({ event, atMs: Date.now() }));
        await prepare(rows);
        await executor.transaction(async (transaction) => {
          const chain = await holdChain(transaction, writer);
          const { rows: heads } = await transaction.execute<{ number: number; hash: Buffer }>(
            sql`select number, hash from audit_links where writer = ${writer} and epoch = ${chain.epoch} order by number desc limit 1`,
          );
          const { number, hash } = heads[0] ?? { number: 0, hash: chainBegin(chain) };
          const { values } = linkValues(rows, { ...chain, number: number + 1, previous: hash });
          await transaction.execute(bound(appendLink, values));
        });
      }),
    /** Ends the chains of this writer's transactions, when none is under way any more. What does not come about leaves a chain open. */
    close: async (): Promise<void> => {
      const { rows } = await database.execute<{ epoch: number; number: number; hash: Buffer }>(
        sql`select distinct on (epoch) epoch, number, hash from audit_links
            where writer = ${writer} and epoch <= ${transactionChains} order by epoch, number desc`,
      );
      for (const { epoch, number, hash } of rows) await database.$client.query(closeLink, [writer, epoch, number + 1, hash]);
    },
  };
};
export type AuditLog = ReturnType<typeof createAuditLog>;
