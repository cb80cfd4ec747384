import { and, eq } from 'drizzle-orm';
import { PlatformError } from '../schema/errors.ts';
import type { Tenancy } from '../schema/ids.ts';
import { contents } from '../schema/tables/tables.ts';
import { type Database, type Executor, guarded } from './database.ts';
import { type ContentKeys, keyedDigest, seal, unseal } from './secrets/seal.ts';

/** Documents by digest, encrypted with a key that the database never sees. */
export type ContentStore = ReturnType<typeof createContentStore>;

export const createContentStore = (database: Database, keys: ContentKeys) => {
  const contextOf = ({ org, project }: Tenancy, digest: string): string => `${org}/${project}/${digest}`;

  /** Keeps a text and returns its digest; keeping the same text again is harmless. */
  const put = (tenancy: Tenancy, text: string, label: string, executor: Executor = database): Promise<string> =>
    guarded(async () => {
      const plain = Buffer.from(text);
      const digest = keyedDigest(keys, plain);
      await executor
        .insert(contents)
        .values({
          org: tenancy.org,
          project: tenancy.project,
          digest,
          sealed: seal(keys, plain, contextOf(tenancy, digest)),
          sizeBytes: plain.length,
          label,
        })
        .onConflictDoNothing();
      return digest;
    });

  /** @throws {PlatformError} `content_missing`, `secret_unavailable`, `store_unavailable` */
  const get = (tenancy: Tenancy, digest: string): Promise<string> =>
    guarded(async () => {
      const [row] = await database
        .select({ sealed: contents.sealed })
        .from(contents)
        .where(and(eq(contents.org, tenancy.org), eq(contents.project, tenancy.project), eq(contents.digest, digest)));
      if (!row)
        throw new PlatformError(
          'content_missing',
          `The document ${digest} is not in the content store of ${tenancy.org}/${tenancy.project}.`,
        );
      return unseal(keys, row.sealed, contextOf(tenancy, digest)).toString();
    });

  const putJson = (tenancy: Tenancy, value: unknown, label: string, executor?: Executor): Promise<string> =>
    put(tenancy, JSON.stringify(value), label, executor);
  const getJson = async (tenancy: Tenancy, digest: string): Promise<unknown> => JSON.parse(await get(tenancy, digest));

  return { put, get, putJson, getJson };
};
