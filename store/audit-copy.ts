import type pg from 'pg';
import { type ChainPlace, linkHash } from './audit-chain.ts';
import { type AuditEntry, type AuditRecord, auditColumns, auditRecord, finite, orderedJson, saysAnything } from './audit-rows.ts';
import { copyInto } from './copy-statement.ts';

const nothing = '\\N';
const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

type Value = string | number | null | undefined;
type Say = (value: Value) => string | number;

const asItIs: Say = (value) => value ?? nothing;
const escaped: Say = (value) =>
  typeof value === 'string' ? value.replace(/[\\\n\r\t]/g, (character) => escapes[character] as string) : (value ?? nothing);

/** An array of text as Postgres reads one. */
const arrayOf = (texts: readonly string[] | undefined): string => {
  if (!texts || texts.length === 0) return '{}';
  let inner = '';
  for (const text of texts) inner += `${inner === '' ? '' : ','}"${text.replace(/["\\]/g, '\\$&')}"`;
  return `{${inner}}`;
};

/**
 * A row as a line of COPY's text format, its columns in the order of `auditColumns`, and its place at the end. The canonical text has a
 * backslash wherever a value holds anything that would have to be escaped here: most rows have none.
 */
const lineOf = ({ event, at, person, text, digest }: AuditRecord, position: number, end: string): string => {
  const say = text.includes('\\') ? escaped : asItIs;
  const { policies, facts } = event;
  const what = `${at}\t${event.kind}\t${say(event.org)}\t${say(event.project)}\t${say(event.action)}\t${event.decision}\t${say(event.decisionId)}`;
  const who = `${say(arrayOf(policies))}\t${say(person)}\t${say(event.agent)}\t${say(event.role)}\t${say(event.fleet)}\t${say(event.run)}`;
  const whom = `${say(event.toolset)}\t${say(event.server)}\t${say(event.tool)}\t${say(event.model)}\t${say(event.resource)}`;
  const outcome = `${say(event.operationId)}\t${event.outcome}\t${say(event.errorCode)}\t${say(finite(event.durationMs))}`;
  const cost = `${say(finite(event.inputTokens))}\t${say(finite(event.outputTokens))}\t${say(finite(event.costMicroUsd))}`;
  const more = `${facts && saysAnything(facts) ? say(orderedJson(facts)) : '{}'}\t${say(event.stamp)}\t${say(event.argumentsDigest)}`;
  const basis = `${say(event.policyVersion)}\t${say(event.traceId)}\t${say(event.basis)}`;
  return `${what}\t${who}\t${whom}\t${outcome}\t${cost}\t${more}\t${basis}\t\\\\x${digest}${end}\t${position}\n`;
};

const hexadecimal = (bytes: Buffer): string => `'\\x${bytes.toString('hex')}'`;
const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** A link with its rows, as it is written: trying it again writes the same. */
export type PreparedLink = { place: ChainPlace; statement: string; lines: string; hash: Buffer };

export const prepareLink = (entries: readonly AuditEntry[], place: ChainPlace): PreparedLink => {
  const { writer, epoch, number, previous } = place;
  const end = `\t${escaped(writer)}\t${epoch}\t${number}`;
  const digests: string[] = [];
  let lines = '';
  for (const entry of entries) {
    const record = auditRecord(entry);
    lines += lineOf(record, digests.push(record.digest), end);
  }
  const hash = linkHash(previous, digests);
  const link = `${quoted(writer)}, ${epoch}, ${number}, ${digests.length}, ${hexadecimal(previous)}, ${hexadecimal(hash)}`;
  const statement = `insert into audit_links (writer, epoch, number, rows, previous, hash) values (${link});
copy audit_events (${auditColumns}, writer, epoch, link, position) from stdin`;
  return { place, statement, lines, hash };
};

/** Of a link that is there already. */
const isTaken = (error: unknown): boolean => {
  const { code, table } = error as { code?: string; table?: string };
  return code === '23505' && table === 'audit_links';
};

const hashAt = async (pool: Pick<pg.Pool, 'query'>, { writer, epoch, number }: ChainPlace): Promise<Buffer | undefined> => {
  const text = 'select hash from audit_links where writer = $1 and epoch = $2 and number = $3';
  const { rows } = await pool.query<{ hash: Buffer }>(text, [writer, epoch, number]);
  return rows[0]?.hash;
};

/**
 * Commits rows and their link, both or neither, by COPY: it costs the database half of what JSON does. The very same link can be tried
 * again, and takes effect once.
 * @param earlier - of another link that was tried at this place, with these rows and more of them: where that one came about, these are written
 */
export const commitLink = async (
  pool: Pick<pg.Pool, 'query'>,
  { place, statement, lines, hash }: PreparedLink,
  earlier?: Buffer,
): Promise<void> => {
  try {
    await copyInto(pool, statement, lines);
  } catch (error) {
    // an earlier try has come about, of whose end nobody heard
    const there = isTaken(error) ? await hashAt(pool, place) : undefined;
    if (!there || !(there.equals(hash) || earlier?.equals(there))) throw error;
  }
};

/** Prepares a link and commits it. @returns its hash */
export const copyLink = async (
  pool: Pick<pg.Pool, 'query'>,
  entries: readonly AuditEntry[],
  place: ChainPlace,
  earlier?: Buffer,
): Promise<Buffer> => {
  const link = prepareLink(entries, place);
  await commitLink(pool, link, earlier);
  return link.hash;
};
