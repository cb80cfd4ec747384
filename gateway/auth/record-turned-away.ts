import { isPlatformError } from '../../schema/errors.ts';
import type { Endpoint } from '../../schema/mcp-endpoint.ts';
import { newDecisionId } from '../decide.ts';
import type { HttpRequest } from '../front/http-exchange.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { readTrace } from '../mcp/trace-context.ts';
import { actorFacts, auditWho, type Principal } from '../principal.ts';
import { putOnRecord } from '../put-on-record.ts';
import { KnownCallerRefused } from './known-caller-refused.ts';

/** What was asked for: tools, with the path of the endpoint, or models. */
type Door = { door: 'mcp'; endpoint: Endpoint } | { door: 'models' };

const longestName = 128;

/** One row for a request of a known caller that was not let in, before its method was read. It stands with the caller's own project. */
export const recordNotLetIn = (context: GatewayContext, request: HttpRequest, at: Door, principal: Principal, errorCode: string): void => {
  const trace = readTrace(request.headers);
  putOnRecord(
    context,
    {
      org: principal.org,
      project: principal.kind === 'agent' ? principal.project : 'default',
      ...auditWho(principal),
      kind: 'refusal',
      action: 'authenticate',
      decision: 'deny',
      decisionId: newDecisionId(),
      toolset: at.door === 'mcp' && at.endpoint.kind === 'toolset' ? at.endpoint.toolset.slice(0, longestName) : null,
      outcome: 'refused',
      errorCode,
      durationMs: 0,
      traceId: trace.traceId,
      facts: { ...actorFacts(principal), door: at.door },
    },
    trace,
  );
};

/**
 * Puts a refusal at the door on record: of a caller that nobody knows by a count of its source, of one who is known by a row of its own.
 * What failed for another reason is no refusal.
 */
export const recordTurnedAway = (context: GatewayContext, request: HttpRequest, at: Door, error: unknown): void => {
  if (error instanceof KnownCallerRefused) {
    recordNotLetIn(context, request, at, error.principal, error.code);
    return;
  }
  if (!isPlatformError(error) || error.status !== 401) return;
  const peer = 'body' in request ? request.remoteAddress : request.socket.remoteAddress;
  const { flag } = error.facts;
  context.unknownCallers.count({
    source: context.sourceOf(peer, request.headers),
    door: at.door,
    code: error.code,
    flag: typeof flag === 'string' ? flag : undefined,
  });
};
