import { z } from 'zod';
import { ApprovalKindSchema } from '../approval.ts';
import { SecretReferenceSchema } from './metadata.ts';

/** What people are told by a channel. `decided`: also what came of it. `page`: something that cannot wait, such as an undo that failed. */
export const ChannelEventSchema = z.enum(['approval', 'decided', 'page']);
export type ChannelEvent = z.infer<typeof ChannelEventSchema>;
/** What a message is about. `ended`: how a fix that people approved ended; channels that are told of decisions are told of it. */
export type DeliveryEvent = ChannelEvent | 'ended';

const common = {
  description: z.string().max(500).optional(),
  events: z.array(ChannelEventSchema).min(1).default(['approval', 'decided', 'page']),
  /** Approvals of these kinds are told here whoever asks, beside those of what names this channel itself. */
  announces: z.array(ApprovalKindSchema).max(8).default([]),
};

/**
 * A signed POST after Standard Webhooks: `webhook-id` (the same for each try), `webhook-timestamp` and `webhook-signature`. The secret is
 * `whsec_` and base64, as its libraries take it.
 * @see https://www.standardwebhooks.com
 */
export const WebhookChannelSchema = z.strictObject({
  type: z.literal('webhook'),
  ...common,
  url: z.url({ protocol: /^https?$/ }).max(2048),
  secret: SecretReferenceSchema,
});

/** Messages with buttons in one Slack channel, by a bot token; answers come back signed with the signing secret, from people that are mapped. */
export const SlackChannelSchema = z.strictObject({
  type: z.literal('slack'),
  ...common,
  /** `https://slack.com/api` unless another is given. */
  apiUrl: z
    .url({ protocol: /^https?$/ })
    .max(2048)
    .default('https://slack.com/api'),
  channel: z.string().min(1).max(128),
  token: SecretReferenceSchema,
  signingSecret: SecretReferenceSchema,
  /** Slack's user id -> person. Who is not named here cannot answer. */
  people: z.record(z.string().regex(/^[UW][A-Z0-9]{2,20}$/, 'a user id of Slack such as `U012AB3CD`'), z.string().max(128)).default({}),
});

/** Mail with a link to the approval; nobody answers by mail. */
export const EmailChannelSchema = z.strictObject({
  type: z.literal('email'),
  ...common,
  smtp: z.strictObject({
    host: z.string().min(1).max(253),
    port: z.number().int().min(1).max(65_535).default(587),
    /** `starttls` is insisted on; `none` is for this machine alone. */
    tls: z.enum(['required', 'starttls', 'none']).default('starttls'),
    user: z.string().max(256).optional(),
    password: SecretReferenceSchema.optional(),
  }),
  from: z.email(),
  to: z.array(z.email()).min(1).max(64),
});

/** A way to people. */
export const ChannelSpecSchema = z.discriminatedUnion('type', [WebhookChannelSchema, SlackChannelSchema, EmailChannelSchema]);
export type ChannelSpec = z.infer<typeof ChannelSpecSchema>;
