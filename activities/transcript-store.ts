import type { Transcript, TranscriptEntry, TranscriptHead } from '../agents/conversation.ts';
import type { Tenancy } from '../schema/ids.ts';
import type { ContentStore } from '../store/contents.ts';
import { appendToTranscript, beginTranscript, loadTranscript } from '../store/transcripts.ts';

export type TranscriptStore = ReturnType<typeof createTranscriptStore>;

/** Keeps conversations of agents in the content store. A digest names one state of a conversation for ever. */
export const createTranscriptStore = (contents: ContentStore) => ({
  begin: (tenancy: Tenancy, head: TranscriptHead): Promise<string> => beginTranscript(contents, tenancy, head),
  append: (tenancy: Tenancy, digest: string, entries: readonly TranscriptEntry[]): Promise<string> =>
    appendToTranscript(contents, tenancy, digest, entries),
  load: async (tenancy: Tenancy, digest: string): Promise<Transcript> => (await loadTranscript(contents, tenancy, digest)) as Transcript,
});
