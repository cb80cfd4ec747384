import type { KnownBlock } from '@slack/web-api';
import { type SlackButton, slackActions } from '../../schema/slack-button.ts';
import type { ChannelMessage } from './channel-message.ts';

/** Slack reads `&`, `<` and `>` as its own marks: a text of somebody else's would mention everybody, or lead elsewhere. */
export const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
/** As a quotation, in which no line passes for a label of ours. */
const quoted = (text: string): string => escaped(text).replaceAll(/^/gm, '> ');
/** Within the limit of Slack for a text of a section. */
const mostOfSection = 2_990;
const cut = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/**
 * A message as blocks of Slack. The buttons carry the digest, so that what is answered is what was shown; a message that does not show all
 * cannot be approved by, and one about what is decided has none.
 * @see https://docs.slack.dev/reference/block-kit/blocks
 */
export const slackBlocks = ({ title, facts, next, link, approval }: ChannelMessage): KnownBlock[] => {
  const button = (text: string, action: string, style: 'primary' | 'danger', value: string) => ({
    type: 'button' as const,
    text: { type: 'plain_text' as const, text },
    action_id: action,
    style,
    value,
  });
  const value = approval
    ? JSON.stringify({ org: approval.org, project: approval.project, id: approval.id, digest: approval.digest } satisfies SlackButton)
    : '';
  const sections = facts.map(({ label, text }) => `*${label}*\n${quoted(text)}`);
  const isWhole = approval?.isWhole === true && sections.every((text) => text.length <= mostOfSection);
  return [
    { type: 'header', text: { type: 'plain_text', text: cut(title, 150), emoji: false } },
    ...sections.map((text): KnownBlock => ({ type: 'section', text: { type: 'mrkdwn', text: cut(text, mostOfSection), verbatim: true } })),
    {
      type: 'context',
      elements: [{ type: 'mrkdwn', text: cut(`${link ? `<${link}|Open> · ` : ''}\`${escaped(next)}\``, 1_990), verbatim: true }],
    },
    ...(approval?.state === 'pending'
      ? [
          {
            type: 'actions' as const,
            block_id: 'quarterdeck_approval',
            elements: [
              ...(isWhole ? [button('Approve', slackActions.approve, 'primary', value)] : []),
              button('Deny', slackActions.deny, 'danger', value),
            ],
          },
        ]
      : []),
  ];
};
