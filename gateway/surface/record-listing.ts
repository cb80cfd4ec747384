import type { NewAuditEvent } from '../../schema/audit-event.ts';
import { newDecisionId } from '../decide.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import { traceOf } from '../mcp/trace-context.ts';
import { auditWho } from '../principal.ts';
import { putOnRecord } from '../put-on-record.ts';

/** Whose rows a request writes where no item says it: the endpoint's, or the caller's own. */
export const tenancyOf = ({ endpoint, principal }: Pick<ClientRequest, 'endpoint' | 'principal'>) =>
  endpoint.kind === 'toolset' && endpoint.tenancy.org === principal.org
    ? endpoint.tenancy
    : { org: principal.org, project: principal.kind === 'agent' ? principal.project : 'default' };

/** One audit row for a list: how many items there were, and how many the caller saw. */
export const recordListing = (
  gateway: GatewayContext,
  request: ClientRequest,
  action: string,
  facts: { offered: number; listed: number },
): void => {
  const trace = traceOf(request);
  const event: NewAuditEvent = {
    ...tenancyOf(request),
    ...auditWho(request.principal),
    kind: 'call',
    action,
    decision: 'allow',
    decisionId: newDecisionId(),
    toolset: request.endpoint.kind === 'toolset' ? request.endpoint.toolset : null,
    outcome: 'ok',
    traceId: trace.traceId,
    facts,
  };
  putOnRecord(gateway, event, trace);
};
