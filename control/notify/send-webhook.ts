import { Webhook } from 'standardwebhooks';
import type { ChannelSpec } from '../../schema/resources/channel.ts';
import type { ChannelNetwork } from './channel-fetch.ts';
import type { ChannelMessage } from './channel-message.ts';

/**
 * Posts a message, signed after Standard Webhooks; each try of one delivery has the same `webhook-id`, by which a receiver knows it again.
 * @param options.secret - `whsec_` and base64
 * @throws when it is not taken with a 2xx
 * @see https://www.standardwebhooks.com
 */
export const sendWebhook = async (
  { url }: Extract<ChannelSpec, { type: 'webhook' }>,
  message: ChannelMessage,
  { id, secret, network, now }: { id: string; secret: string; network: ChannelNetwork; now: Date },
): Promise<null> => {
  const body = JSON.stringify({ type: `quarterdeck.${message.event}`, timestamp: now.toISOString(), data: message });
  const answer = await network.fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
      'webhook-signature': new Webhook(secret).sign(id, now, body),
    },
    body,
  });
  await answer.body?.cancel();
  if (answer.status < 200 || answer.status > 299) throw new Error(`it answers ${answer.status}`);
  return null;
};
