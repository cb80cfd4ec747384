import { PlatformError } from '../schema/errors.ts';
import type { Tenancy } from '../schema/ids.ts';
import type { ContentStore } from './contents.ts';

/** What a transcript's digest names: the digests of its parts, so that a longer transcript shares them with the shorter one. */
type TranscriptIndex = { version: 1; head: string; entries: string[] };

const readIndex = async (contents: ContentStore, tenancy: Tenancy, digest: string): Promise<TranscriptIndex> => {
  const index = (await contents.getJson(tenancy, digest)) as TranscriptIndex;
  if (index.version !== 1) throw new PlatformError('content_missing', `The transcript ${digest} is of a release that is not this one.`);
  return index;
};

const writeIndex = (contents: ContentStore, tenancy: Tenancy, index: TranscriptIndex): Promise<string> =>
  contents.putJson(tenancy, index, 'transcript');

/** Begins a conversation with what does not change in it. @returns its digest, which names this state of it for ever */
export const beginTranscript = async (contents: ContentStore, tenancy: Tenancy, head: unknown): Promise<string> =>
  writeIndex(contents, tenancy, { version: 1, head: await contents.putJson(tenancy, head, 'transcript-head'), entries: [] });

/** @returns the digest of the conversation with the entries at its end */
export const appendToTranscript = async (
  contents: ContentStore,
  tenancy: Tenancy,
  digest: string,
  entries: readonly unknown[],
): Promise<string> => {
  const index = await readIndex(contents, tenancy, digest);
  const added = await Promise.all(entries.map((entry) => contents.putJson(tenancy, entry, 'transcript-entry')));
  return writeIndex(contents, tenancy, { ...index, entries: [...index.entries, ...added] });
};

/** @returns the digests of all that a conversation is made of. @throws as `loadTranscript` does */
export const transcriptParts = async (contents: ContentStore, tenancy: Tenancy, digest: string): Promise<string[]> => {
  const { head, entries } = await readIndex(contents, tenancy, digest);
  return [head, ...entries];
};

/** Reads a whole conversation. @throws {PlatformError} `content_missing`, `store_unavailable` */
export const loadTranscript = async (
  contents: ContentStore,
  tenancy: Tenancy,
  digest: string,
): Promise<{ head: unknown; entries: unknown[] }> => {
  const index = await readIndex(contents, tenancy, digest);
  const [head, ...entries] = await Promise.all([index.head, ...index.entries].map((part) => contents.getJson(tenancy, part)));
  return { head, entries };
};
