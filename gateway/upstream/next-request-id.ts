import { randomInt } from 'node:crypto';

/** A server may meet several replicas in one session: each counts from a place of its own. */
let last = randomInt(2 ** 20) * 2 ** 32;

/** Another id each time; it names the request and its progress at the server. */
export const nextRequestId = (): number => {
  last += 1;
  return last;
};
