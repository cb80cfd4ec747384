import { sql } from 'drizzle-orm';
import { toPlatformError } from '../schema/errors.ts';
import type { Tenancy } from '../schema/ids.ts';
import { leastKeptMs } from '../schema/retention.ts';
import type { ContentStore } from './contents.ts';
import { type Database, guarded } from './database.ts';
import { transcriptParts } from './transcripts.ts';

type Referred = { digest: string; transcript: boolean; ended: string | null };

/**
 * What runs and fixes refer to that still go on, or ended since; those that began since are left out, for what they refer to was kept
 * since, too.
 */
const findReferred = async (database: Database, { org, project }: Tenancy, before: Date): Promise<Referred[]> => {
  const began = new Date(before.getTime() + leastKeptMs).toISOString();
  const since = before.toISOString();
  const { rows } = await database.execute<Referred>(sql`
    with going as (
      select org, project, id, inputs_digest, ended_at from runs
      where org = ${org} and project = ${project} and created_at < ${began}::timestamptz
        and (ended_at is null or ended_at >= ${since}::timestamptz)
    ), of_agents as (
      select a.input_digest, a.output_digest, a.transcript_digest, g.ended_at
      from agents a join going g on a.org = g.org and a.project = g.project and a.run_id = g.id
    )
    select inputs_digest as digest, false as transcript, ended_at as ended from going
    union all select input_digest, false, ended_at from of_agents
    union all select output_digest, false, ended_at from of_agents where output_digest is not null
    union all select transcript_digest, true, ended_at from of_agents where transcript_digest is not null
    union all select evidence_digest, false, ended_at from reconcile_fixes
      where org = ${org} and project = ${project} and evidence_digest <> '' and began_at < ${began}::timestamptz
        and (ended_at is null or ended_at >= ${since}::timestamptz)`);
  return rows;
};

/** A transcript that is not whole any more, or whose org's keys were destroyed, keeps nothing. */
const partsOf = async (contents: ContentStore, tenancy: Tenancy, digest: string): Promise<string[]> => {
  try {
    return [digest, ...(await transcriptParts(contents, tenancy, digest))];
  } catch (error) {
    if (toPlatformError(error).code === 'store_unavailable') throw error;
    return [digest];
  }
};

const digestsAtOnce = 1000;

/**
 * Marks documents as used that runs or fixes still refer to, so that a removal of what was not used since `before` leaves them: for what
 * goes on until `at`, for what ended until then. Without it a run that takes longer than its project keeps things would lose its beginning.
 * An approval needs no look of its own: its call is in its row, and the run or the fix that waits for it goes on.
 */
export const keepReferred = (
  { database, contents }: { database: Database; contents: ContentStore },
  { org, project }: Tenancy,
  { before, at }: { before: Date; at: Date },
): Promise<void> =>
  guarded(async () => {
    for (const { digest, transcript, ended } of await findReferred(database, { org, project }, before)) {
      const digests = transcript ? await partsOf(contents, { org, project }, digest) : [digest];
      const used = ended === null ? at : new Date(ended);
      for (let from = 0; from < digests.length; from += digestsAtOnce)
        await database.execute(sql`
          update contents set used_at = ${used.toISOString()}::timestamptz
          where org = ${org} and project = ${project} and used_at < ${before.toISOString()}::timestamptz
            and digest = any(${sql.param(digests.slice(from, from + digestsAtOnce))}::text[])`);
    }
  });
