import { randomUUID } from 'node:crypto';
import type { ApprovalRule } from '../../schema/approval.ts';
import type { NewAuditEvent } from '../../schema/audit-event.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { type CallToApprove, createApprovalAsks } from '../../store/ask-approval.ts';
import type { Database } from '../../store/database.ts';
import { digestOfText, writeExactCall } from '../../store/exact-call.ts';
import { approvalKeysOf } from '../../store/secrets/seal.ts';
import { openAuditLog } from './audit-log.ts';

/** The key that the tests' gateway and api share. */
export const approvalKeys = approvalKeysOf(Buffer.alloc(32, 5).toString('base64'));

export const byReviewers: ApprovalRule = { policy: 'policyset/p/ask', approvers: ['role:reviewer'], count: 1 };

/** A call of one tool, as the gateway would ask about it. */
export const callToApprove = ({
  arguments: argumentsOfCall = { path: '/out/a' },
  rules = [byReviewers],
  expiresInSeconds = 900,
  ...more
}: Partial<CallToApprove> & {
  arguments?: Record<string, unknown>;
  rules?: ApprovalRule[];
  expiresInSeconds?: number;
} = {}): CallToApprove => ({
  ...defaultTenancy,
  ...writeExactCall({ ...defaultTenancy, server: 'files', tool: 'write', definitionHash: 'h', arguments: argumentsOfCall }),
  principal: 'person:default/ada',
  operationId: `op-${randomUUID()}`,
  person: 'ada',
  agent: null,
  role: null,
  fleet: null,
  run: null,
  toolset: 'write',
  server: 'files',
  tool: 'write',
  definitionHash: 'h',
  argumentsDigest: digestOfText(JSON.stringify(argumentsOfCall)),
  decisionId: 'dec_1',
  need: { rules, expiresInSeconds, reason: 'It writes.' },
  ...more,
});

export const approvalEvent = (action: string): NewAuditEvent => ({
  ...defaultTenancy,
  kind: 'change',
  action,
  decision: 'allow',
  decisionId: 'dec_1',
  outcome: 'ok',
});

/** Asks for people's approval of a call. */
export const askFor = (database: Database, call: CallToApprove) =>
  createApprovalAsks(database, openAuditLog(database), approvalKeys).ask(call, approvalEvent('askApproval'));

/** Moves the end of an approval's time into the past. */
export const runOut = async (database: Database, id: string): Promise<void> => {
  await database.$client.query(`update approvals set expires_at = now() - interval '1 second' where id = $1`, [id]);
};
