import { LogLevel, WebClient } from '@slack/web-api';
import type { ChannelSpec } from '../../schema/resources/channel.ts';
import type { ChannelNetwork } from './channel-fetch.ts';
import { type ChannelMessage, plainText } from './channel-message.ts';
import { escaped, slackBlocks } from './slack-blocks.ts';

const silent = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  setLevel: () => {},
  getLevel: () => LogLevel.ERROR,
  setName: () => {},
};

/**
 * Posts a message to a channel of Slack, or puts it in the place of the one that told of the same before, buttons and all.
 * @param options.first - what Slack called the first message, where there is one
 * @returns what Slack calls the message now
 * @throws when Slack refuses it
 * @see https://docs.slack.dev/reference/methods/chat.postMessage
 */
export const sendSlack = async (
  { apiUrl, channel }: Extract<ChannelSpec, { type: 'slack' }>,
  message: ChannelMessage,
  { token, network, first }: { token: string; network: ChannelNetwork; first: Record<string, string> | undefined },
): Promise<Record<string, string>> => {
  const client = new WebClient(token, {
    slackApiUrl: apiUrl.endsWith('/') ? apiUrl : `${apiUrl}/`,
    fetch: network.fetch,
    // the outbox tries again, and says when
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    logger: silent,
  });
  const content = { text: escaped(plainText(message)).slice(0, 3_000), blocks: slackBlocks(message) };
  if (first?.ts && first.channel) {
    await client.chat.update({ ...content, channel: first.channel, ts: first.ts });
    return first;
  }
  const posted = await client.chat.postMessage({ ...content, channel, unfurl_links: false, unfurl_media: false });
  return { ts: posted.ts ?? '', channel: posted.channel ?? channel };
};
