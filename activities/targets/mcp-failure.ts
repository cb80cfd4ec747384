import { type ErrorCode, isPlatformError } from '../../schema/errors.ts';
import type { Observation } from '../../schema/reconcile/observation.ts';

type Reason = Extract<Observation, { status: 'unknown' }>['reason'];

/** Why a call gave nothing to go by. `refused` calls never reached the server, nor did `invalid` ones; of others that may be. */
export class McpRefusal extends Error {
  readonly reason: Reason | 'invalid' | 'precondition';

  constructor(reason: McpRefusal['reason'], message: string) {
    super(message);
    this.name = 'McpRefusal';
    this.reason = reason;
  }
}

const reasonOf: Partial<Record<ErrorCode, McpRefusal['reason']>> = {
  approval_denied: 'refused',
  approval_expired: 'refused',
  argument_refused: 'refused',
  credential_refused: 'refused',
  grant_needed: 'refused',
  halted: 'refused',
  hook_refused: 'refused',
  needs_person: 'refused',
  not_authenticated: 'refused',
  not_permitted: 'refused',
  scope_insufficient: 'refused',
  token_refused: 'refused',
  tool_unknown: 'refused',
  request_invalid: 'invalid',
  request_too_large: 'invalid',
  operation_conflict: 'invalid',
  approvals_exhausted: 'throttled',
  budget_exhausted: 'throttled',
  calls_exhausted: 'throttled',
  rate_exhausted: 'throttled',
  result_invalid: 'incomplete',
  result_too_large: 'incomplete',
};

/** What a failed call says; anything that is no refusal of ours is passed on as what may have had an effect. */
export const mcpRefusalOf = (error: unknown): McpRefusal => {
  if (error instanceof McpRefusal) return error;
  if (!isPlatformError(error)) throw error;
  const { approvalId, decisionId } = error.facts;
  const more = [approvalId && `approval ${approvalId}`, decisionId && `decision ${decisionId}`].filter(Boolean).join(', ');
  return new McpRefusal(reasonOf[error.code] ?? 'unreachable', `${error.detail}${more ? ` (${more})` : ''}`.slice(0, 2000));
};
