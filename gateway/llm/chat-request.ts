import { z } from 'zod';
import { PlatformError } from '../../schema/errors.ts';
import { estimatePromptTokens } from './estimate-tokens.ts';
import { refuseFields } from './refused-fields.ts';
import { type JsonMember, scanJson } from './scan-json.ts';

/** The fields of a chat completion request that are read here; all others pass. @see https://platform.openai.com/docs/api-reference/chat/create */
const ChatBodySchema = z.looseObject({
  model: z.string().min(1).max(256),
  messages: z.array(z.looseObject({ role: z.string() })).min(1),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  n: z.int().min(1).max(128).nullish(),
  temperature: z.number().nullish(),
});
type ChatBody = z.infer<typeof ChatBodySchema>;

/** A request as it came: its text is forwarded but for the members that are written anew. */
export type ChatRequest = {
  body: ChatBody;
  text: string;
  members: JsonMember[];
  bytes: number;
  isStreamed: boolean;
  promptTokens: number;
};

const invalid = (detail: string): PlatformError => new PlatformError('request_invalid', detail);

const parse = (bytes: Buffer): { value: Record<string, unknown>; text: string; members: JsonMember[] } => {
  let text: string;
  let value: unknown;
  // what the parsers throw quotes the body, so it is not kept as a cause
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid('The body is not UTF-8.');
  }
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid('The body is not JSON.');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('The body is not a JSON object.');
  const scan = scanJson(text);
  if (!scan.ok) throw invalid(`The body is not usable: ${scan.reason}.`);
  return { value: value as Record<string, unknown>, text, members: scan.members };
};

/**
 * Reads the body of `POST /v1/chat/completions`.
 * @throws {PlatformError} `request_invalid`, naming the field
 */
export const parseChatRequest = (bytes: Buffer): ChatRequest => {
  const { value, text, members } = parse(bytes);
  const result = ChatBodySchema.safeParse(value);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw invalid(`${issue?.path.join('.') || 'The body'}: ${issue?.message ?? 'cannot be read'}.`);
  }
  const body = result.data;
  refuseFields(body);
  return { body, text, members, bytes: bytes.length, isStreamed: body.stream ?? false, promptTokens: estimatePromptTokens(body) };
};

const limitFields = ['max_tokens', 'max_completion_tokens'] as const;

/** The fields that bound the answer, held to the model's own bound; without one of them the model's bound is asked for. */
export const outputLimits = ({ body }: ChatRequest, maxOutputTokens: number): Map<(typeof limitFields)[number], number> => {
  const given = limitFields.flatMap((field) => {
    const asked = body[field];
    return asked === undefined || asked === null ? [] : [[field, Math.min(asked, maxOutputTokens)] as const];
  });
  return new Map(given.length > 0 ? given : [['max_tokens', maxOutputTokens]]);
};

/** How many tokens the answers may have together. */
export const worstOutputTokens = (chat: ChatRequest, maxOutputTokens: number): number =>
  Math.max(...outputLimits(chat, maxOutputTokens).values()) * (chat.body.n ?? 1);
