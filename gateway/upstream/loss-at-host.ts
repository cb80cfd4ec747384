import type { IncomingHttpHeaders } from 'node:http';
import { type Loss, lostHeader } from '../../schema/host-headers.ts';
import { ResultTooLarge } from './result-too-large.ts';
import { UpstreamLost } from './upstream-lost.ts';

/** What our host says, beside an answer, of a request that its server did not answer. Undefined: the answer is the server's own. */
export const lossAtHost = (status: number, headers: IncomingHttpHeaders): UpstreamLost | ResultTooLarge | undefined => {
  const loss = headers[lostHeader] as Loss | undefined;
  // the host knows no such instance, e.g. since it was itself started anew
  if (loss === undefined) return status === 404 ? new UpstreamLost(false, undefined, 'connection') : undefined;
  if (loss === 'result-too-large') return new ResultTooLarge();
  if (loss === 'other-instance') return new UpstreamLost(false, undefined, 'other-instance');
  return new UpstreamLost(loss !== 'not-sent');
};
