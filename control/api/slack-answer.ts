import { z } from 'zod';

/**
 * What Slack sends when somebody presses a button, cut to what is used. `response_url` takes a word for that person alone.
 * @see https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
 */
export const SlackAnswerSchema = z.object({
  type: z.literal('block_actions'),
  user: z.object({ id: z.string().max(64) }),
  actions: z.array(z.object({ action_id: z.string().max(255), value: z.string().max(2_000).optional() })).min(1),
  response_url: z
    .url({ protocol: /^https?$/ })
    .max(2_048)
    .optional(),
});
export type SlackAnswer = z.infer<typeof SlackAnswerSchema>;
