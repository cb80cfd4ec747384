import { createHmac, timingSafeEqual } from 'node:crypto';

/** Older requests may have been heard on their way and sent again. */
const mostAgeSeconds = 300;

/**
 * Whether a request is from Slack, by the signing secret that the two share.
 * @param request.body - the bytes as they came
 * @see https://docs.slack.dev/authentication/verifying-requests-from-slack
 */
export const isFromSlack = (
  { body, timestamp, signature }: { body: string; timestamp: string | undefined; signature: string | undefined },
  { secret, now }: { secret: string; now: Date },
): boolean => {
  if (!timestamp || !/^\d{1,12}$/.test(timestamp) || !signature) return false;
  if (Math.abs(now.getTime() / 1000 - Number(timestamp)) > mostAgeSeconds) return false;
  const expected = Buffer.from(`v0=${createHmac('sha256', secret).update(`v0:${timestamp}:${body}`).digest('hex')}`);
  const given = Buffer.from(signature);
  return expected.length === given.length && timingSafeEqual(expected, given);
};
