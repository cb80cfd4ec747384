import { and, eq, sql } from 'drizzle-orm';
import { PlatformError } from '../schema/errors.ts';
import type { Tenancy } from '../schema/ids.ts';
import { removedText, usedAgainMs } from '../schema/retention.ts';
import { contents } from '../schema/tables/tables.ts';
import { openContent, sealContent } from './content-seal.ts';
import { type Database, type Executor, guarded } from './database.ts';
import { createOrgKeys } from './org-keys.ts';
import { createContentResealer } from './reseal-contents.ts';
import { findRemoved } from './retention-progress.ts';
import { type ContentKeys, keyedDigest } from './secrets/seal.ts';

/** Documents by digest, sealed with a key of their org, which is wrapped by one that the database never sees. */
export type ContentStore = ReturnType<typeof createContentStore>;

export const createContentStore = (database: Database, keys: ContentKeys) => {
  const ring = createOrgKeys(database, keys);

  /** Keeps a text and returns its digest; keeping the same text again is harmless. */
  const put = (tenancy: Tenancy, text: string, label: string, executor: Executor = database): Promise<string> =>
    guarded(async () => {
      const plain = Buffer.from(text);
      const digest = keyedDigest(keys, plain);
      const key = await ring.active(tenancy.org, executor);
      await executor
        .insert(contents)
        .values({
          org: tenancy.org,
          project: tenancy.project,
          digest,
          sealed: sealContent(key, plain, { ...tenancy, digest }),
          keyId: key.id,
          sizeBytes: plain.length,
          label,
        })
        // what is kept once more is used again, and stays as long as if it were new
        .onConflictDoUpdate({
          target: [contents.org, contents.project, contents.digest],
          set: { usedAt: sql`excluded.used_at` },
          setWhere: sql`${contents.usedAt} < excluded.used_at - ${usedAgainMs} * interval '1 millisecond'`,
        });
      return digest;
    });

  /** Whether it is the retention that takes such documents away. */
  const whyMissing = async (tenancy: Tenancy): Promise<string> => {
    const removed = await findRemoved(database, tenancy, 'contents');
    return removed ? `: what was not used since ${removed.before} was ${removedText(tenancy, removed)}` : '';
  };

  /** The digest that a text has, or would have, here; nothing is kept. */
  const digestOf = (text: string): string => keyedDigest(keys, Buffer.from(text));

  /** @throws {PlatformError} `content_missing`, `secret_unavailable`, `store_unavailable` */
  const get = (tenancy: Tenancy, digest: string): Promise<string> =>
    guarded(async () => {
      const [row] = await database
        .select({ sealed: contents.sealed, keyId: contents.keyId })
        .from(contents)
        .where(and(eq(contents.org, tenancy.org), eq(contents.project, tenancy.project), eq(contents.digest, digest)));
      if (!row)
        throw new PlatformError(
          'content_missing',
          `The document ${digest} is not in the content store of ${tenancy.org}/${tenancy.project}${await whyMissing(tenancy)}.`,
        );
      return (await openContent({ keys, ring }, { ...tenancy, digest, ...row })).toString();
    });

  const putJson = (tenancy: Tenancy, value: unknown, label: string, executor?: Executor): Promise<string> =>
    put(tenancy, JSON.stringify(value), label, executor);
  const getJson = async (tenancy: Tenancy, digest: string): Promise<unknown> => JSON.parse(await get(tenancy, digest));

  return { put, digestOf, get, putJson, getJson, ring, resealer: () => createContentResealer({ database, keys, ring }) };
};
