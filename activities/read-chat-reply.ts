import { z } from 'zod';
import type { ModelReply } from '../agents/chat-request.ts';
import { PlatformError } from '../schema/errors.ts';

const ReplySchema = z.looseObject({
  choices: z
    .array(
      z.looseObject({
        finish_reason: z.string().nullish(),
        message: z.looseObject({
          content: z.string().nullish(),
          tool_calls: z
            .array(z.looseObject({ function: z.looseObject({ name: z.string(), arguments: z.string().default('') }) }))
            .nullish(),
        }),
      }),
    )
    .min(1),
});

/**
 * Cuts a chat completion to what an agent needs. What is in it is the model's own and is judged later.
 * @throws {PlatformError} `model_unavailable` where the answer is no chat completion
 */
export const readChatReply = (text: string): ModelReply => {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  const choice = ReplySchema.safeParse(body).data?.choices[0];
  if (!choice) throw new PlatformError('model_unavailable', 'The model provider answered something that is no chat completion.');
  return {
    text: choice.message.content ?? '',
    toolCalls: (choice.message.tool_calls ?? []).map(({ function: call }) => ({ name: call.name, arguments: call.arguments })),
    finishReason: choice.finish_reason ?? 'stop',
  };
};
