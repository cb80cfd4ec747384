import { asc, gt, sql } from 'drizzle-orm';
import { auditCheckpoints } from '../schema/tables/tables.ts';
import type { Logger } from '../telemetry/logger.ts';
import { chainBegin } from './audit-chain.ts';
import {
  type Checkpoint,
  noStatement,
  readCheckpoint,
  type SignedCheckpoint,
  type StoredCheckpoint,
  saysWhatItSigned,
  statementDigest,
  statementOf,
  storedCheckpointColumns,
} from './audit-checkpoint.ts';
import { type CheckpointSink, numberOf } from './audit-checkpoint-file.ts';
import type { AuditSigner } from './audit-key.ts';
import { type Database, type Executor, guarded } from './database.ts';
import { repeat } from './repeat.ts';

/** A commit that takes longer than this is checked when its chain goes on, or at the next start. */
const lateCommitMinutes = 15;
const lockKey = '7420000000000002';

type Link = { number: number; previous: Buffer; hash: Buffer; closes: boolean };
type Head = { writer: string; epoch: number; link: number };

/** Chains that have a commit since a moment, or any, and where each was signed last. */
const recentChains = async (executor: Executor, since: Date | undefined): Promise<(Head & { signed: StoredCheckpoint | null })[]> => {
  const recent = since ? sql`where at > ${new Date(since.getTime() - lateCommitMinutes * 60_000)}` : sql``;
  const { rows } = await executor.execute<Head & { signed: StoredCheckpoint | null }>(sql`
    select l.writer, l.epoch, l.link, to_jsonb(c) as signed
    from (select writer, epoch, max(number) as link from audit_links ${recent} group by writer, epoch) l
    left join lateral (select ${sql.raw(storedCheckpointColumns)} from audit_checkpoints
      where writer = l.writer and epoch = l.epoch order by link desc limit 1) c on true
    order by l.writer, l.epoch`);
  return rows;
};

/** The links that a checkpoint would sign for the first time, and whether they follow one another from where the last one was signed. */
const newLinks = async (executor: Executor, { writer, epoch, link }: Head, from: Checkpoint | undefined): Promise<Link | undefined> => {
  const { rows: links } = await executor.execute<Link>(
    sql`select number, previous, hash, closes from audit_links
        where writer = ${writer} and epoch = ${epoch} and number > ${from?.link ?? 0} and number <= ${link} order by number`,
  );
  let end = from ? Buffer.from(from.hash, 'hex') : chainBegin({ writer, epoch });
  let number = from?.link ?? 0;
  for (const each of links) {
    number += 1;
    if (each.number !== number || !each.previous.equals(end)) return undefined;
    end = each.hash;
  }
  return links.at(-1);
};

/**
 * Makes what signs how far the chains have come. Whoever signs looks first whether what is new follows from what was signed before: what
 * was changed behind a checkpoint is not signed over.
 * @param options.sink - a second place for the same checkpoints, outside the database
 * @returns a function that takes checkpoints of all chains that went on, and says how many; safe to run by several processes at once
 */
export const createCheckpointer = ({
  database,
  signer,
  sink,
  logger,
  clock = () => new Date(),
}: {
  database: Database;
  signer: AuditSigner;
  sink?: CheckpointSink;
  logger: Logger;
  clock?: () => Date;
}): (() => Promise<number>) => {
  let inSink: number | undefined;
  /** At the first time all chains: one may have gone on, and nobody has signed it. */
  let looksAtAll = true;
  const broken = new Set<string>();

  const sayBroken = ({ writer, epoch }: Head): void => {
    if (broken.has(`${writer}/${epoch}`)) return;
    broken.add(`${writer}/${epoch}`);
    logger.error({ writer, epoch }, 'a chain of the audit does not follow from its last checkpoint; run `quarterdeck audit verify`');
  };

  const isOurs = (stored: StoredCheckpoint): boolean => signer.verifies(stored.statement, stored.signature) && saysWhatItSigned(stored);

  const take = (): Promise<number> =>
    database.transaction(async (transaction) => {
      await transaction.execute(sql`select pg_advisory_xact_lock(${lockKey}::bigint)`);
      const { rows } = await transaction.execute<StoredCheckpoint>(
        sql`select ${sql.raw(storedCheckpointColumns)} from audit_checkpoints order by number desc limit 1`,
      );
      const [last] = rows;
      let number = last?.number ?? 0;
      let previous = last ? statementDigest(last.statement) : noStatement;
      const since = looksAtAll || !last || !isOurs(last) ? undefined : new Date(last.atMs);
      for (const { signed, ...head } of await recentChains(transaction, since)) {
        const isSound = signed === null || isOurs(signed);
        if (isSound && signed !== null && signed.link >= head.link) continue;
        const found = isSound
          ? await newLinks(transaction, head, signed === null ? undefined : readCheckpoint(signed.statement))
          : undefined;
        if (!found) {
          sayBroken(head);
          continue;
        }
        number += 1;
        const { writer, epoch, link } = head;
        const at = clock();
        const place = { version: 1 as const, number, writer, epoch, link };
        const { hash, closes } = found;
        const statement = statementOf({
          ...place,
          hash: hash.toString('hex'),
          closed: closes,
          at: at.toISOString(),
          previous,
          keyId: signer.keyId,
        });
        await transaction
          .insert(auditCheckpoints)
          .values({ number, writer, epoch, link, statement, signature: signer.sign(statement), at });
        previous = statementDigest(statement);
      }
      return number - (last?.number ?? 0);
    });

  /** Brings the second place up to date: a crash between the two leaves it behind, never ahead. */
  const copy = async (to: CheckpointSink): Promise<void> => {
    inSink ??= (await to.read()).reduce((most, kept) => Math.max(most, numberOf(kept)), 0);
    const rows: SignedCheckpoint[] = await database
      .select({ statement: auditCheckpoints.statement, signature: auditCheckpoints.signature })
      .from(auditCheckpoints)
      .where(gt(auditCheckpoints.number, inSink))
      .orderBy(asc(auditCheckpoints.number));
    // what somebody put into the table without the key does not leave it
    const ours = rows.filter(({ statement, signature }) => signer.verifies(statement, signature));
    await to.append(ours);
    inSink = ours.reduce((most, kept) => Math.max(most, numberOf(kept)), inSink);
  };

  return () =>
    guarded(async () => {
      const taken = await take();
      looksAtAll = false;
      if (sink && (taken > 0 || inSink === undefined)) await copy(sink);
      return taken;
    });
};

/**
 * Takes checkpoints again and again, and once more at the end.
 * @param options.intervalMs - from the end of one to the beginning of the next
 */
export const keepCheckpoints = ({
  take,
  intervalMs,
  logger,
}: {
  take: () => Promise<number>;
  intervalMs: number;
  logger: Logger;
}): { close(): Promise<void> } => {
  const loop = repeat({
    work: take,
    intervalMs,
    onFailure: (error) => logger.warn({ err: error }, 'no checkpoint of the audit could be taken; it is tried again'),
  });
  return {
    close: async () => {
      await loop.close();
      await loop.again();
    },
  };
};
