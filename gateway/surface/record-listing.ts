import type { NewAuditEvent } from '../../schema/audit-event.ts';
import { toPlatformError } from '../../schema/errors.ts';
import { newDecisionId } from '../decide.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import { traceOf } from '../mcp/trace-context.ts';
import { actorFacts, auditWho } from '../principal.ts';
import { putOnRecord } from '../put-on-record.ts';

/** Whose rows a request writes where no item says it: the endpoint's, or the caller's own. */
export const tenancyOf = ({ endpoint, principal }: Pick<ClientRequest, 'endpoint' | 'principal'>) =>
  endpoint.kind === 'toolset' && endpoint.tenancy.org === principal.org
    ? endpoint.tenancy
    : { org: principal.org, project: principal.kind === 'agent' ? principal.project : 'default' };

/** A list that is being answered. */
export type Listing = { action: string; startedAt: number };

const write = (
  gateway: GatewayContext,
  request: ClientRequest,
  { action, startedAt }: Listing,
  { facts, ...rest }: Pick<NewAuditEvent, 'kind' | 'decision' | 'outcome' | 'errorCode' | 'facts'>,
): void => {
  const trace = traceOf(request);
  const event: NewAuditEvent = {
    ...tenancyOf(request),
    ...auditWho(request.principal),
    action,
    decisionId: newDecisionId(),
    toolset: request.endpoint.kind === 'toolset' ? request.endpoint.toolset : null,
    traceId: trace.traceId,
    durationMs: gateway.now() - startedAt,
    facts: { ...actorFacts(request.principal), ...facts },
    ...rest,
  };
  putOnRecord(gateway, event, trace);
};

/** One audit row for a list: how many items there were, and how many the caller saw. */
export const recordListing = (
  gateway: GatewayContext,
  request: ClientRequest,
  listing: Listing,
  facts: { offered: number; listed: number },
): void => write(gateway, request, listing, { kind: 'call', decision: 'allow', outcome: 'ok', facts });

/** Why a list is refused; all else that it comes to nothing by is a failure. */
const refusals: ReadonlySet<string> = new Set(['request_invalid', 'halted']);

/** One audit row for a list that came to nothing. @returns what was thrown, to be thrown on */
export const recordFailedListing = (gateway: GatewayContext, request: ClientRequest, listing: Listing, thrown: unknown): unknown => {
  const { code: errorCode } = toPlatformError(thrown);
  const isRefusal = refusals.has(errorCode);
  write(
    gateway,
    request,
    listing,
    isRefusal
      ? { kind: 'refusal', decision: 'deny', outcome: 'refused', errorCode }
      : { kind: 'call', decision: 'allow', outcome: request.signal.aborted ? 'cancelled' : 'error', errorCode },
  );
  return thrown;
};
