import { randomInt } from 'node:crypto';

/**
 * A server may meet several replicas in one session: each counts from a place of its own. At most fifteen digits, so that no answer has to be
 * looked through for numbers that JavaScript has not (schema/exact-json.ts).
 */
let last = randomInt(10 ** 5) * 10 ** 10;

/** Another id each time; it names the request and its progress at the server. */
export const nextRequestId = (): number => {
  last += 1;
  return last;
};
