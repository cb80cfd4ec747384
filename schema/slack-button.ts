import { z } from 'zod';
import { ApprovalIdSchema } from './approval.ts';
import { NameSchema } from './ids.ts';

/** Ids of the buttons of an approval, by what they answer. */
export const slackActions = { approve: 'quarterdeck_approve', deny: 'quarterdeck_deny' } as const;

/** What such a button carries: the digest too, so that what is answered is what was shown. */
export const SlackButtonSchema = z.object({
  org: NameSchema,
  project: NameSchema,
  id: ApprovalIdSchema,
  digest: z.string().regex(/^[0-9a-f]{64}$/),
});
export type SlackButton = z.infer<typeof SlackButtonSchema>;
