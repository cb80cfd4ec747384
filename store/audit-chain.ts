import { createHash } from 'node:crypto';
import { type AuditEntry, auditColumns, auditFields, auditRows, auditValues } from './audit-rows.ts';

/** One unbroken chain of commits: a process (`writer`) has several, one for each of its ways to the database. */
export type ChainName = { writer: string; epoch: number };
/** Where the next link goes: its number, and the hash of the link before. */
export type ChainPlace = ChainName & { number: number; previous: Buffer };

/** What the first link of a chain follows: the chain's own name, so that no chain can stand in the place of another. */
export const chainBegin = ({ writer, epoch }: ChainName): Buffer =>
  createHash('sha256').update(`quarterdeck/audit/1\n${writer}\n${epoch}`).digest();

/**
 * The hash of a link. The last link of a chain has no rows, and says so.
 * @param digests - of the rows in their order, in hexadecimal
 */
export const linkHash = (previous: Buffer, digests: readonly string[], closes = false): Buffer =>
  createHash('sha256')
    .update(previous)
    .update(digests.join(''), 'hex')
    .update(closes ? 'closed' : '')
    .digest();

/** The link that is there already, by an earlier try whose end nobody heard of: then nothing is written. */
const known = 'known as (select hash from audit_links where writer = $2::text and epoch = $3::int and number = $4::int)';
const columns = `${auditColumns}, writer, epoch, link, position`;

/**
 * Rows and their link, so that both are committed or neither is. JSON is read as text and not as `jsonb`, which takes half as long again.
 * Parameters: see `linkValues`.
 */
export const appendLink = `
with ${known}, written as (
  insert into audit_links (writer, epoch, number, rows, previous, hash)
  select $2::text, $3::int, $4::int, $6::int, $5::bytea, $7::bytea where not exists (select from known)
)
insert into audit_events (${columns})
select ${auditValues}, $2::text, $3::int, $4::int, r.position from json_to_recordset($1::json) as r(${auditFields})
where not exists (select from known)`;

/** What `appendLink` is given, and the hash of the link. */
export const linkValues = (
  entries: readonly AuditEntry[],
  { writer, epoch, number, previous }: ChainPlace,
): { values: unknown[]; hash: Buffer } => {
  const { json, digests } = auditRows(entries);
  const hash = linkHash(previous, digests);
  return { values: [json, writer, epoch, number, previous, digests.length, hash], hash };
};

/**
 * The same as parts of a statement that finds out itself which of the rows are written: the digests come from the writer, the database
 * puts those together that are. Parameters 1 to 5: rows (JSON), writer, epoch, number, previous hash. The last part is called `linked` and
 * has one column, `hash`.
 * @param options.fields - of the record `r` beside those of a row
 * @param options.where - which of the rows are written
 */
export const linkParts = ({ fields, where }: { fields: string; where: string }): string => `
${known}, logged as (
  insert into audit_events (${columns})
  select ${auditValues}, $2::text, $3::int, $4::int, row_number() over (order by r.position)
  from json_to_recordset($1::json) as r(${fields}, ${auditFields})
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

/** The link that ends a chain. Parameters: writer, epoch, number, previous hash. */
export const closeLink = `
insert into audit_links (writer, epoch, number, rows, previous, hash, closes)
values ($1, $2, $3, 0, $4, sha256($4::bytea || 'closed'), true) on conflict do nothing`;
