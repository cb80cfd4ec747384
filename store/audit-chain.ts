import { createHash } from 'node:crypto';
import { auditColumns, auditFields, auditValues } from './audit-rows.ts';

/** One unbroken chain of commits: a process (`writer`) has several, one for each of its ways to the database. */
export type ChainName = { writer: string; epoch: number };
/** Where the next link goes: its number, and the hash of the link before. */
export type ChainPlace = ChainName & { number: number; previous: Buffer };

/** What the first link of a chain follows: the chain's own name, so that no chain can stand in the place of another. */
export const chainBegin = ({ writer, epoch }: ChainName): Buffer =>
  createHash('sha256').update(`quarterdeck/audit/1\n${writer}\n${epoch}`).digest();

/** The hash of a link, as the database makes it too. The last link of a chain has no rows, and says so. */
export const linkHash = (previous: Buffer, digests: readonly Buffer[], closes = false): Buffer =>
  createHash('sha256')
    .update(Buffer.concat([previous, ...digests, ...(closes ? [Buffer.from('closed')] : [])]))
    .digest();

/**
 * The parts of a statement that write rows and their link, so that both are committed or neither is. The digests come from the writer;
 * the database puts those together that are really written. A link that is there already was committed by an earlier try: then nothing
 * is written, and its hash is found.
 * Parameters 1 to 5: rows (JSON), writer, epoch, number, previous hash. The last part is called `linked` and has one column, `hash`.
 * @param options.fields - of the record `r` beside those of a row
 * @param options.where - which of the rows are written
 */
export const linkParts = ({ fields = '', where = 'true' }: { fields?: string; where?: string } = {}): string => `
known as (
  select hash from audit_links where writer = $2::text and epoch = $3::int and number = $4::int
), logged as (
  insert into audit_events (${auditColumns}, writer, epoch, link, position)
  select ${auditValues}, $2::text, $3::int, $4::int, row_number() over (order by r.position)
  from jsonb_to_recordset($1::jsonb) as r(${fields}${auditFields})
  where not exists (select from known) and (${where})
  order by r.position
  returning position, digest
), written as (
  insert into audit_links (writer, epoch, number, rows, previous, hash)
  select $2::text, $3::int, $4::int, count(*), $5::bytea, sha256($5::bytea || coalesce(string_agg(digest, '' order by position), ''))
  from logged having not exists (select from known)
  returning hash
), linked as (
  select hash from written union all select hash from known
)`;

/** Rows and their link, and nothing else. */
export const appendLink = `with ${linkParts()} select hash from linked`;

/** The link that ends a chain; parameters as above, without rows. */
export const closeLink = `
insert into audit_links (writer, epoch, number, rows, previous, hash, closes)
values ($1, $2, $3, 0, $4, sha256($4::bytea || 'closed'), true) on conflict do nothing`;
