import { createHash } from 'node:crypto';
import { and, eq, gt, isNull, or } from 'drizzle-orm';
import { orgs, people, personTokens } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';

/** A person as policies see them. */
export type Person = { org: string; id: string; groups: string[]; roles: string[]; disabled: boolean; stamp: string };

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

/** Finds whose token this is, and until when; undefined when nobody's, expired, or the person is disabled. */
export const findPersonByToken = (
  database: Database,
  token: string,
  now: Date,
): Promise<(Person & { tokenExpiresAt: Date | null }) | undefined> =>
  guarded(async () => {
    const [row] = await database
      .select({
        org: people.org,
        id: people.id,
        groups: people.groups,
        roles: people.roles,
        disabled: people.disabled,
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
