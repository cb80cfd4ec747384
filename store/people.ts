import { createHash } from 'node:crypto';
import { and, eq, gt, inArray, isNull, or, sql } from 'drizzle-orm';
import { issuerRecords, orgs, people, personTokens } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';

/** A person as policies see them. */
export type Person = {
  org: string;
  id: string;
  groups: string[];
  roles: string[];
  disabled: boolean;
  stamp: string;
  /** When they have last shown who they are, in seconds since the epoch, and how well by their issuer's own scale; of a login alone. */
  authTime?: number | undefined;
  acr?: string | undefined;
};

const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');

/** Makes an org and its people, or brings them to what is given; nothing else is touched. */
export const seedPeople = (database: Database, org: string, seeds: { id: string; groups: string[]; roles: string[] }[]): Promise<void> =>
  guarded(async () => {
    await database.insert(orgs).values({ org }).onConflictDoNothing();
    for (const { id, groups, roles } of seeds)
      await database
        .insert(people)
        .values({ org, id, groups, roles })
        .onConflictDoUpdate({ target: [people.org, people.id], set: { groups, roles } });
  });

/** Puts a token in the place of the person's earlier ones with the same stamp. Only its hash is kept. */
export const replacePersonToken = (
  database: Database,
  { org, personId, stamp, token }: { org: string; personId: string; stamp: string; token: string },
): Promise<void> =>
  guarded(() =>
    database.transaction(async (transaction) => {
      await transaction
        .delete(personTokens)
        .where(and(eq(personTokens.org, org), eq(personTokens.personId, personId), eq(personTokens.stamp, stamp)));
      await transaction.insert(personTokens).values({ tokenHash: hashOf(token), org, personId, stamp });
    }),
  );

/** Columns of who somebody is. */
const whoIs = { org: people.org, id: people.id, groups: people.groups, roles: people.roles, disabled: people.disabled };

/** Finds whose token this is, and until when; undefined when nobody's, expired, or the person is disabled. */
export const findPersonByToken = (
  database: Database,
  token: string,
  now: Date,
): Promise<(Person & { tokenExpiresAt: Date | null }) | undefined> =>
  guarded(async () => {
    const [row] = await database
      .select({
        ...whoIs,
        stamp: personTokens.stamp,
        tokenExpiresAt: personTokens.expiresAt,
      })
      .from(personTokens)
      .innerJoin(people, and(eq(people.org, personTokens.org), eq(people.id, personTokens.personId)))
      .where(and(eq(personTokens.tokenHash, hashOf(token)), or(isNull(personTokens.expiresAt), gt(personTokens.expiresAt, now))));
    return row && !row.disabled ? row : undefined;
  });

/** Finds a person by id, for decisions made on their behalf. */
export const findPerson = (database: Database, org: string, id: string): Promise<Omit<Person, 'stamp'> | undefined> =>
  guarded(async () => {
    const [row] = await database
      .select()
      .from(people)
      .where(and(eq(people.org, org), eq(people.id, id)));
    return row ? { org: row.org, id: row.id, groups: row.groups, roles: row.roles, disabled: row.disabled } : undefined;
  });

/** Finds whose login a token is of, by its `sid`, and until when; undefined when it was ended, has expired, or the person is disabled. */
export const findPersonBySession = (
  database: Database,
  sessionId: string,
  now: Date,
): Promise<(Person & { expiresAt: Date | null }) | undefined> =>
  guarded(async () => {
    const [row] = await database
      .select({
        ...whoIs,
        stamp: sql<string>`coalesce(${issuerRecords.payload}->>'stamp', 'login')`,
        expiresAt: issuerRecords.expiresAt,
      })
      .from(issuerRecords)
      .innerJoin(
        people,
        and(
          eq(people.org, sql`split_part(${issuerRecords.account}, '/', 1)`),
          eq(people.id, sql`split_part(${issuerRecords.account}, '/', 2)`),
        ),
      )
      .where(
        and(
          eq(issuerRecords.model, 'Grant'),
          eq(issuerRecords.id, sessionId),
          or(isNull(issuerRecords.expiresAt), gt(issuerRecords.expiresAt, now)),
        ),
      );
    return row && !row.disabled ? row : undefined;
  });

/** Says that an issuer names these people by their own ids, so that a login there is theirs. */
export const linkPeople = (database: Database, org: string, issuer: string, ids: readonly string[]): Promise<void> =>
  guarded(async () => {
    await database
      .update(people)
      .set({ issuer, subject: sql`${people.id}` })
      .where(and(eq(people.org, org), inArray(people.id, [...ids])));
  });

/** A person as administrators are shown them. */
export type ListedPerson = Omit<Person, 'stamp'> & {
  issuer: string | null;
  email: string | null;
  name: string | null;
  lastLoginAt: Date | null;
};

export const listPeople = (database: Database, org: string): Promise<ListedPerson[]> =>
  guarded(async () => {
    const { id, groups, roles, disabled, issuer, email, name, lastLoginAt } = people;
    const shown = { org: people.org, id, groups, roles, disabled, issuer, email, name, lastLoginAt };
    return database.select(shown).from(people).where(eq(people.org, org)).orderBy(people.id);
  });

/** Shuts a person out or lets them in again; their logins end with it. @returns whether there is such a person */
export const setPersonDisabled = (database: Database, org: string, id: string, disabled: boolean): Promise<boolean> =>
  guarded(() =>
    database.transaction(async (transaction) => {
      const changed = await transaction
        .update(people)
        .set({ disabled })
        .where(and(eq(people.org, org), eq(people.id, id)))
        .returning({ id: people.id });
      if (disabled) await transaction.delete(issuerRecords).where(eq(issuerRecords.account, `${org}/${id}`));
      return changed.length > 0;
    }),
  );
