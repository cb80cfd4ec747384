import type { Transcript, TranscriptEntry, TranscriptHead } from '../agents/conversation.ts';
import { PlatformError } from '../schema/errors.ts';
import type { Tenancy } from '../schema/ids.ts';
import type { ContentStore } from '../store/contents.ts';

/** What a transcript's digest names: the digests of its parts, so that a longer transcript shares them with the shorter one. */
type TranscriptIndex = { version: 1; head: string; entries: string[] };

export type TranscriptStore = ReturnType<typeof createTranscriptStore>;

/** Keeps conversations in the content store. A digest names one state of a conversation for ever. */
export const createTranscriptStore = (contents: ContentStore) => {
  const readIndex = async (tenancy: Tenancy, digest: string): Promise<TranscriptIndex> => {
    const index = (await contents.getJson(tenancy, digest)) as TranscriptIndex;
    if (index.version !== 1) throw new PlatformError('content_missing', `The transcript ${digest} is of a release that is not this one.`);
    return index;
  };

  const writeIndex = (tenancy: Tenancy, index: TranscriptIndex): Promise<string> => contents.putJson(tenancy, index, 'transcript');

  return {
    begin: async (tenancy: Tenancy, head: TranscriptHead): Promise<string> =>
      writeIndex(tenancy, { version: 1, head: await contents.putJson(tenancy, head, 'transcript-head'), entries: [] }),

    /** @throws {PlatformError} `content_missing`, `store_unavailable` */
    load: async (tenancy: Tenancy, digest: string): Promise<Transcript> => {
      const index = await readIndex(tenancy, digest);
      const [head, ...entries] = await Promise.all([index.head, ...index.entries].map((part) => contents.getJson(tenancy, part)));
      return { head: head as TranscriptHead, entries: entries as TranscriptEntry[] };
    },

    /** @returns the digest of the conversation with the entries at its end */
    append: async (tenancy: Tenancy, digest: string, entries: readonly TranscriptEntry[]): Promise<string> => {
      const index = await readIndex(tenancy, digest);
      const added = await Promise.all(entries.map((entry) => contents.putJson(tenancy, entry, 'transcript-entry')));
      return writeIndex(tenancy, { ...index, entries: [...index.entries, ...added] });
    },
  };
};
