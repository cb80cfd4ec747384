import { createHash } from 'node:crypto';
import { and, eq, sql } from 'drizzle-orm';
import { PlatformError } from '../schema/errors.ts';
import { people } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';

/** What an issuer says of a person who has just logged in there. */
export type Login = {
  org: string;
  issuer: string;
  /** The issuer's own name for the person: unique there and never given to another one (OpenID Connect Core §2). */
  subject: string;
  /** The person's id here, where the issuer is trusted to keep it unique. */
  username?: string | undefined;
  email?: string | undefined;
  name?: string | undefined;
  /** Undefined where this does not say them: those of the newest login stay. */
  groups: string[] | undefined;
  /** Undefined where this issuer has no say in roles. */
  roles?: string[] | undefined;
};

/**
 * An id that can be read, and that nobody can choose: the first part is how the person is called, the last one is made from issuer and
 * subject. A name alone would let somebody rename themselves into what a binding grants to another person.
 */
const idFor = ({ issuer, subject, username, email, name }: Login): string => {
  if (username !== undefined) return username;
  const readable = (email?.split('@')[0] ?? name ?? '')
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 40)
    .replaceAll(/^-+|-+$/g, '');
  const digest = createHash('sha256').update(`${issuer}\n${subject}`).digest('hex').slice(0, 16);
  return `${readable || 'person'}-${digest}`;
};

/**
 * Writes what a login says: a person who comes for the first time gets a row, and groups are those of the newest login.
 * @returns the person's id
 * @throws {PlatformError} `not_permitted` for a disabled person; `conflict` when the username is somebody else's here
 */
export const recordLogin = (database: Database, login: Login): Promise<string> =>
  guarded(() =>
    database.transaction(async (transaction) => {
      const { org, issuer, subject, email, name, groups, roles } = login;
      // what is not said stays as it was: a token that is exchanged says less than a login
      const facts = {
        ...(email === undefined ? {} : { email }),
        ...(name === undefined ? {} : { name }),
        ...(groups === undefined ? {} : { groups }),
        ...(roles === undefined ? {} : { roles }),
        lastLoginAt: sql`now()`,
      };
      const isThem = and(eq(people.org, org), eq(people.issuer, issuer), eq(people.subject, subject));
      const [known] = await transaction.select().from(people).where(isThem).for('update');
      if (known?.disabled)
        throw new PlatformError('not_permitted', 'This person is shut out of Quarterdeck; ask an administrator.', {
          facts: { org, person: known.id },
        });
      if (known) {
        await transaction.update(people).set(facts).where(isThem);
        return known.id;
      }
      const id = idFor(login);
      const made = await transaction
        .insert(people)
        .values({ org, id, issuer, subject, ...facts })
        .onConflictDoNothing()
        .returning({ id: people.id });
      if (made.length > 0) return id;
      const [meanwhile] = await transaction.select({ id: people.id }).from(people).where(isThem);
      if (meanwhile) return meanwhile.id;
      throw new PlatformError('conflict', `The name ${id} belongs to another person here; ask an administrator.`);
    }),
  );
