import type { ChatRequest } from './chat-request.ts';
import { constrainedRequest } from './constrained-request.ts';
import type { Transcript } from './conversation.ts';
import { nativeRequest } from './native-request.ts';

/** The next request of a conversation, by how its model decodes; undefined where the agent may do nothing any more. */
export const buildRequest = (transcript: Transcript): ChatRequest | undefined =>
  transcript.head.model.decoding === 'constrained' ? constrainedRequest(transcript) : nativeRequest(transcript);
