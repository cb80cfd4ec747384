import type { WaitingChange } from '../../schema/approval.ts';
import { exitCodes } from './exit-codes.ts';
import { say } from './talk.ts';

/** Tells the proposer of a change that others have to approve it, and leaves the exit code for that. */
export const sayWaiting = ({ approvalId, expiresAt, rules }: WaitingChange): void => {
  const who = rules.map(({ approvers, count }) => `${count > 1 ? `${count} of ` : ''}${approvers.join(' or ')}`).join(', and ');
  say(`Nothing is in force yet: it waits for ${who}, until ${expiresAt.slice(0, 16).replace('T', ' ')} UTC.`);
  say(`They look at it and decide with: quarterdeck approvals approve ${approvalId}`);
  process.exitCode = exitCodes.needsApproval;
};
