import { createHash } from 'node:crypto';
import { and, eq, isNull, lt, sql } from 'drizzle-orm';
import { issuerRecords } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';

/** Values of these are names, not keys: knowing one lets nobody in. */
const openModels: ReadonlySet<string> = new Set(['Grant', 'Client']);

/** Under what a value is kept. */
const keyOf = (model: string, value: string): string =>
  openModels.has(model) ? value : createHash('sha256').update(value).digest('base64url');

type Payload = Record<string, unknown>;

const textIn = (payload: Payload, field: string): string | null => (typeof payload[field] === 'string' ? payload[field] : null);

/** What is kept of a record: neither its own value, nor that of the browser session it belongs to. */
const withoutKeys = ({ jti: _value, ...payload }: Payload): Payload => {
  const session = payload.session as Payload | undefined;
  if (session === undefined) return payload;
  const { cookie: _cookie, ...rest } = session;
  return { ...payload, session: rest };
};

export const putIssuerRecord = (
  database: Database,
  model: string,
  value: string,
  payload: Payload,
  lifetimeSeconds: number | undefined,
): Promise<void> =>
  guarded(async () => {
    const row = {
      payload: withoutKeys(payload),
      grantId: textIn(payload, 'grantId'),
      account: textIn(payload, 'accountId'),
      uid: textIn(payload, 'uid'),
      // by the clock of the database, which everybody shares
      expiresAt: lifetimeSeconds === undefined ? null : sql`now() + ${lifetimeSeconds} * interval '1 second'`,
    };
    await database
      .insert(issuerRecords)
      .values({ model, id: keyOf(model, value), ...row })
      .onConflictDoUpdate({ target: [issuerRecords.model, issuerRecords.id], set: row });
  });

/** Keeps a value until its time is over. @returns false when it is kept already: of two at the same moment one comes first */
export const putIssuerRecordOnce = (
  database: Database,
  model: string,
  value: string,
  payload: Payload,
  expiresAt: Date,
): Promise<boolean> =>
  guarded(async () => {
    const made = await database
      .insert(issuerRecords)
      .values({ model, id: keyOf(model, value), payload: withoutKeys(payload), account: textIn(payload, 'accountId'), expiresAt })
      .onConflictDoNothing()
      .returning({ id: issuerRecords.id });
    return made.length > 0;
  });

type By = { value: string } | { uid: string };

/** @returns the payload, with `consumed` (seconds since the epoch) once it was used; undefined when there is none, or its time is over */
export const findIssuerRecord = (database: Database, model: string, by: By): Promise<Payload | undefined> =>
  guarded(async () => {
    const here = 'value' in by ? eq(issuerRecords.id, keyOf(model, by.value)) : eq(issuerRecords.uid, by.uid);
    const alive = sql`(${issuerRecords.expiresAt} is null or ${issuerRecords.expiresAt} > now())`;
    const [row] = await database
      .select()
      .from(issuerRecords)
      .where(and(eq(issuerRecords.model, model), here, alive));
    if (!row) return undefined;
    return {
      ...row.payload,
      ...('value' in by ? { jti: by.value } : {}),
      ...(row.consumedAt ? { consumed: Math.floor(row.consumedAt.getTime() / 1000) } : {}),
    };
  });

/** Uses a record up. @returns false when somebody did already: of two at the same moment one comes first */
export const consumeIssuerRecord = (database: Database, model: string, value: string): Promise<boolean> =>
  guarded(async () => {
    const used = await database
      .update(issuerRecords)
      .set({ consumedAt: sql`now()` })
      .where(and(eq(issuerRecords.model, model), eq(issuerRecords.id, keyOf(model, value)), isNull(issuerRecords.consumedAt)))
      .returning({ id: issuerRecords.id });
    return used.length > 0;
  });

/** Puts down that something was used, for as long as it could be used again. @returns false when it was before: of many at once one comes first */
export const claimIssuerRecord = (database: Database, model: string, value: string, lifetimeSeconds: number): Promise<boolean> =>
  guarded(async () => {
    const expiresAt = sql`now() + ${lifetimeSeconds} * interval '1 second'`;
    const claimed = await database
      .insert(issuerRecords)
      .values({ model, id: keyOf(model, value), payload: {}, expiresAt })
      .onConflictDoNothing()
      .returning({ id: issuerRecords.id });
    return claimed.length > 0;
  });

export const deleteIssuerRecord = (database: Database, model: string, value: string): Promise<void> =>
  guarded(async () => {
    await database.delete(issuerRecords).where(and(eq(issuerRecords.model, model), eq(issuerRecords.id, keyOf(model, value))));
  });

/** Takes away all of a model that came from a grant. */
export const deleteOfGrant = (database: Database, model: string, grantId: string): Promise<void> =>
  guarded(async () => {
    await database.delete(issuerRecords).where(and(eq(issuerRecords.model, model), eq(issuerRecords.grantId, grantId)));
  });

/** Takes away what nobody can use any more. @returns how many records */
export const sweepIssuerRecords = (database: Database): Promise<number> =>
  guarded(
    async () =>
      (await database.delete(issuerRecords).where(lt(issuerRecords.expiresAt, sql`now()`)).returning({ id: issuerRecords.id })).length,
  );
