import { createHmac, randomBytes } from 'node:crypto';
import { and, eq, inArray, sql } from 'drizzle-orm';
import { auditPeople } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';
import { type ContentKeys, keyedDigest, seal, unseal } from './secrets/seal.ts';

/** How long a pseudonym is believed to be in use; a person who was erased elsewhere meanwhile stays erased. */
const believedMs = 60_000;
const mostKnown = 20_000;

export const pseudonymPrefix = 'psn_';
export const pseudonymContext = (org: string, pseudonym: string): string => `${org}/audit-person/${pseudonym}`;
type Person = { org: string; id: string };
type Sealed = { id: string; key: string };

/**
 * Pseudonyms of people, for audit rows: an HMAC of the person's id with a key of the person's own. The keys are sealed, so that the
 * database alone says nothing of who is who; with a person's key goes the way from their rows to them.
 */
export const createAuditPeople = ({ database, keys, now = Date.now }: { database: Database; keys: ContentKeys; now?: () => number }) => {
  const known = new Map<string, { pseudonym: string; until: number }>();
  const digestOf = ({ org, id }: Person): string => keyedDigest(keys, Buffer.from(`${org}/${id}`));

  const findPseudonym = async (person: Person): Promise<string | undefined> => {
    const [row] = await database
      .select({ pseudonym: auditPeople.pseudonym })
      .from(auditPeople)
      .where(and(eq(auditPeople.org, person.org), eq(auditPeople.digest, digestOf(person))));
    return row?.pseudonym;
  };

  const makePseudonym = async (person: Person): Promise<string> => {
    const { org, id } = person;
    const key = randomBytes(32).toString('base64');
    const pseudonym = pseudonymPrefix + createHmac('sha256', key).update(`${org}/${id}`).digest('base64url').slice(0, 22);
    const sealed = seal(keys, Buffer.from(JSON.stringify({ id, key } satisfies Sealed)), pseudonymContext(org, pseudonym));
    await database
      .insert(auditPeople)
      .values({ org, digest: digestOf(person), pseudonym, sealed })
      .onConflictDoNothing();
    // another process may have been first
    return (await findPseudonym(person)) ?? makePseudonym(person);
  };

  const learn = async (person: Person): Promise<string> => {
    const pseudonym = (await findPseudonym(person)) ?? (await makePseudonym(person));
    if (known.size >= mostKnown) known.clear();
    known.set(`${person.org}/${person.id}`, { pseudonym, until: now() + believedMs });
    return pseudonym;
  };

  return {
    /** The pseudonym where it is known here; undefined where `pseudonymOf` has to be asked. */
    known: ({ org, id }: Person): string | undefined => {
      const found = known.get(`${org}/${id}`);
      return found && found.until > now() ? found.pseudonym : undefined;
    },
    /** The pseudonym of a person; one is made for who has none. */
    pseudonymOf: (person: Person): Promise<string> => guarded(() => learn(person)),
    /** The same, undefined for who has none. */
    find: (person: Person): Promise<string | undefined> => guarded(() => findPseudonym(person)),
    /** Who stands behind pseudonyms of an org; those of erased people are missing. */
    resolve: (org: string, pseudonyms: readonly string[]): Promise<ReadonlyMap<string, string>> =>
      guarded(async () => {
        if (pseudonyms.length === 0) return new Map();
        const rows = await database
          .select()
          .from(auditPeople)
          .where(and(eq(auditPeople.org, org), inArray(auditPeople.pseudonym, [...pseudonyms])));
        return new Map(
          rows.map(({ pseudonym, sealed }) => {
            const { id } = JSON.parse(unseal(keys, sealed, pseudonymContext(org, pseudonym)).toString()) as Sealed;
            return [pseudonym, id];
          }),
        );
      }),
    /**
     * Forgets who stands behind a person's rows, for good. The rows stay, and their chain still verifies.
     * @returns the pseudonym that nobody can resolve any more; undefined where the person has none
     */
    erase: (executor: Pick<Database, 'delete'>, person: Person): Promise<string | undefined> =>
      guarded(async () => {
        const [row] = await executor
          .delete(auditPeople)
          .where(and(eq(auditPeople.org, person.org), eq(auditPeople.digest, digestOf(person))))
          .returning({ pseudonym: sql<string>`${auditPeople.pseudonym}` });
        known.delete(`${person.org}/${person.id}`);
        return row?.pseudonym;
      }),
  };
};
export type AuditPeople = ReturnType<typeof createAuditPeople>;
