import { hash } from 'node:crypto';
import { getTableColumns } from 'drizzle-orm';
import type { NewAuditEvent } from '../schema/audit-event.ts';
import { auditEvents } from '../schema/tables/tables.ts';
import { withoutSecrets } from './audit-redaction.ts';

/** What the database adds to a row by itself, and what all rows of one commit share. */
const { sequence: _sequence, writer: _writer, epoch: _epoch, link: _link, ...given } = getTableColumns(auditEvents);
const { position: _position, ...written } = given;
const columns = Object.entries(written);

/** Columns of a row, in the order of `auditValues`. */
export const auditColumns: string = columns.map(([, { name }]) => name).join(', ');

/** The row's fields as one reads them out of JSON: the argument of `jsonb_to_recordset(…) as r(…)`. */
export const auditFields: string = Object.entries(given)
  .map(([key, column]) => `"${key}" ${column.getSQLType()}`)
  .join(', ');

/** Their values, of a record `r`; what may not be null is empty where it was left out. */
export const auditValues: string = columns
  .map(([key, { hasDefault }]) => (hasDefault && key !== 'at' ? `coalesce(r."${key}", '{}')` : `r."${key}"`))
  .join(', ');

/** A row as it is to be written: what happened, and when. The pseudonym stands for the person of the event, who is not written. */
export type AuditEntry = { event: NewAuditEvent; atMs: number; pseudonym?: string };

/** Postgres takes neither NUL nor half a surrogate pair; names that callers invent may hold both, and are still put on record. */
const storable = <T>(value: T): T => {
  if (typeof value === 'string') return value.toWellFormed().replaceAll('\u0000', '\\u0000') as T;
  if (Array.isArray(value)) return value.map(storable) as T;
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [storable(key), storable(inner)])) as T;
  return value;
};
// exactly the characters that Postgres refuses are the ones that JSON writes like this; a backslash that is doubled only looks so
const isUnstorable = (json: string): boolean => json.includes('\\u') && /\\u(?:0000|d[89a-f])/.test(json);

/** Whether JSON writes a value as it is in order already: most facts are a handful of numbers and lists of text. */
const isInOrder = (value: unknown): boolean => {
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isInOrder);
  let last = '';
  for (const key in value) {
    if (key < last || !isInOrder((value as Record<string, unknown>)[key])) return false;
    last = key;
  }
  return true;
};

/** Postgres keeps the keys of JSON in an order of its own: here they are in ours. */
const inOrder = (value: unknown): unknown => {
  if (isInOrder(value)) return value;
  if (Array.isArray(value)) return value.map(inOrder);
  const entries = Object.entries(value as object).sort(([left], [right]) => (left < right ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, inOrder(inner)]));
};

/** JSON with the keys of all its objects in order: the same text for the same value. */
export const orderedJson = (value: unknown): string => JSON.stringify(inOrder(value));

export const saysAnything = (facts: object): boolean => {
  for (const key in facts) if ((facts as Record<string, unknown>)[key] !== undefined) return true;
  return false;
};
const known = <T>(value: T | null | undefined): T | undefined => value ?? undefined;
export const finite = (value: number | null | undefined): number | undefined =>
  value !== null && value !== undefined && Number.isFinite(value) ? value : undefined;

const textOf = (event: NewAuditEvent, at: string, person: string | null | undefined): string => {
  const { policies, facts } = event;
  return JSON.stringify({
    at,
    kind: event.kind,
    org: event.org,
    project: event.project,
    action: event.action,
    decision: event.decision,
    decisionId: event.decisionId,
    policies: policies && policies.length > 0 ? policies : undefined,
    person: known(person),
    agent: known(event.agent),
    role: known(event.role),
    fleet: known(event.fleet),
    run: known(event.run),
    toolset: known(event.toolset),
    server: known(event.server),
    tool: known(event.tool),
    model: known(event.model),
    resource: known(event.resource),
    operationId: known(event.operationId),
    outcome: event.outcome,
    errorCode: known(event.errorCode),
    durationMs: finite(event.durationMs),
    inputTokens: finite(event.inputTokens),
    outputTokens: finite(event.outputTokens),
    costMicroUsd: finite(event.costMicroUsd),
    facts: facts && saysAnything(facts) ? inOrder(facts) : undefined,
    stamp: known(event.stamp),
    argumentsDigest: known(event.argumentsDigest),
    policyVersion: known(event.policyVersion),
    traceId: known(event.traceId),
    basis: known(event.basis),
  });
};

/**
 * The canonical text of a row: JSON with its fields in this order, those that are empty left out, and the keys of `facts` in order. It
 * is what is hashed, what the database is sent, and what a check makes again of the row that is stored.
 * @param at - RFC 3339 with milliseconds, in UTC
 * @param person - in place of the event's own
 */
export const auditText = (event: NewAuditEvent, at: string, person: string | null | undefined = event.person): string => {
  const text = textOf(event, at, person);
  return isUnstorable(text) ? textOf(storable(event), at, storable(person)) : text;
};

/** SHA-256 of a row's canonical text, in hexadecimal. */
export const auditDigest = (text: string): string => hash('sha256', text, 'hex');

let lastMs = Number.NaN;
let lastText = '';
/** Rows that come in the same millisecond share the text of it. */
const instantText = (atMs: number): string => {
  if (atMs !== lastMs) {
    lastMs = atMs;
    lastText = new Date(atMs).toISOString();
  }
  return lastText;
};

/** A row as it is stored: the event without what Postgres takes in no text, its canonical text, and that text's SHA-256 in hexadecimal. */
export type AuditRecord = { event: NewAuditEvent; at: string; person: string | null; text: string; digest: string };

export const auditRecord = ({ event, atMs, pseudonym }: AuditEntry): AuditRecord => {
  const at = instantText(atMs);
  const given = withoutSecrets(event);
  const name = pseudonym ?? null;
  const text = textOf(given, at, name);
  if (!isUnstorable(text)) return { event: given, at, person: name, text, digest: auditDigest(text) };
  const stored = storable(given);
  const person = storable(name);
  const storedText = textOf(stored, at, person);
  return { event: stored, at, person, text: storedText, digest: auditDigest(storedText) };
};

/**
 * Rows as one JSON text that Postgres takes, each with its place and its digest: many rows cost one parameter, and no more than they weigh.
 * @param begins - which of them another part of the statement has to succeed for first, by their indices
 * @returns the digests beside it, in hexadecimal
 */
export const auditRows = (
  entries: readonly AuditEntry[],
  begins?: (index: number) => boolean,
): { json: string; digests: readonly string[] } => {
  const digests: string[] = [];
  const rows = entries.map((entry, index) => {
    const { text, digest } = auditRecord(entry);
    digests.push(digest);
    return `${text.slice(0, -1)},"position":${index + 1},"digest":"\\\\x${digest}"${begins?.(index) ? `,"begins":${index}` : ''}}`;
  });
  return { json: `[${rows.join(',')}]`, digests };
};
