import type { Dispatcher } from 'undici';
import { z } from 'zod';
import { PlatformError } from '../../schema/errors.ts';
import { bytesOfTexts, tokensOfBytes } from './estimate-tokens.ts';
import { maskCompletion } from './mask-answer.ts';
import { type Answer, CallerLeft, type ModelCall, required } from './model-call.ts';
import { unavailable } from './provider-error.ts';
import type { Route } from './provider-request.ts';
import { readAtMost } from './read-at-most.ts';
import { readUsage, spentOf } from './usage.ts';

const mostBytes = 16 * 1024 * 1024;

const CompletionSchema = z.looseObject({
  choices: z.array(z.looseObject({ message: z.unknown().optional() })),
  usage: z.unknown().optional(),
});

const parsed = (bytes: Buffer): z.infer<typeof CompletionSchema> | undefined => {
  try {
    return CompletionSchema.safeParse(JSON.parse(bytes.toString())).data;
  } catch {
    return undefined;
  }
};

/**
 * Takes an answer in one piece: at most 16 MiB, passed on with its own bytes.
 * From here on the call is paid for, so no other route is tried.
 */
export const relayWhole = async (
  call: ModelCall,
  { price }: Route,
  provider: string,
  { body }: Pick<Dispatcher.ResponseData, 'body'>,
): Promise<Answer> => {
  const inputTokens = call.chat?.promptTokens ?? 0;
  call.spent = spentOf({ inputTokens, outputTokens: 0 }, price, true);
  let bytes: Buffer;
  try {
    bytes = await readAtMost(body, mostBytes + 1);
  } catch (error) {
    if (call.caller.signal.aborted) throw new CallerLeft('the caller left before the answer was complete');
    throw unavailable(provider, 'broke off in the middle of its answer', error);
  }
  const completion = parsed(bytes);
  const usage = readUsage(completion?.usage);
  const outputBytes = completion ? bytesOfTexts(completion.choices.map(({ message }) => message)) : bytes.length;
  call.spent = usage ? spentOf(usage, price, false) : spentOf({ inputTokens, outputTokens: tokensOfBytes(outputBytes) }, price, true);
  if (bytes.length > mostBytes)
    throw new PlatformError(
      'result_too_large',
      `The answer of the model provider ${provider} is larger than ${mostBytes} bytes; ask for less.`,
    );
  if (!completion) throw unavailable(provider, 'answered something that is no chat completion');
  return { kind: 'whole', body: call.mask ? maskCompletion(bytes, call.mask, required(call.masked, 'the counts')) : bytes };
};
