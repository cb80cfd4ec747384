import type { AnswerEnd } from './read-answer.ts';
import { ResultTooLarge } from './result-too-large.ts';
import { UpstreamLost } from './upstream-lost.ts';

/** Why there is no reply, where the reading of the answer ended in this way. */
export const lossOfEnd = (end: Exclude<AnswerEnd, { kind: 'refused' }>, wasSent: boolean): UpstreamLost | ResultTooLarge => {
  switch (end.kind) {
    case 'too-large':
      return new ResultTooLarge();
    case 'broken':
      return new UpstreamLost(wasSent, end.cause);
    case 'unusable':
      return new UpstreamLost(true, end.cause, 'unusable');
    case 'ended':
      return new UpstreamLost(true, new Error('the answer ended without a reply'), 'unusable');
  }
};
