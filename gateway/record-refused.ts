import { newDecisionId } from './decide.ts';
import type { GatewayContext } from './gateway-context.ts';
import type { ClientRequest } from './mcp/client-request.ts';
import { methodActions } from './mcp/method-actions.ts';
import { traceOf } from './mcp/trace-context.ts';
import { actorFacts, auditWho } from './principal.ts';
import { putOnRecord } from './put-on-record.ts';
import { tenancyOf } from './surface/record-listing.ts';

const longestName = 128;
const textIn = (value: unknown): string | null => (typeof value === 'string' ? value.slice(0, longestName) : null);

/** A request as far as it was read. */
export type RefusedRequest = Pick<ClientRequest, 'principal' | 'endpoint' | 'method' | 'params' | 'traceHeaders' | 'trace'>;

/** One row for a request that a known caller made and that came to nothing before any step of its method was taken. */
export const recordRefused = (gateway: GatewayContext, request: RefusedRequest, errorCode: string): void => {
  const { endpoint, method, params } = request;
  const action = methodActions.get(method);
  if (action === undefined) return; // nothing is on record of such a method when it is served, either
  const trace = traceOf(request);
  putOnRecord(
    gateway,
    {
      ...tenancyOf(request),
      ...auditWho(request.principal),
      kind: 'refusal',
      action,
      decision: 'deny',
      decisionId: newDecisionId(),
      toolset: endpoint.kind === 'toolset' ? endpoint.toolset : null,
      tool: action === 'callTool' ? textIn(params.name) : null,
      resource: action === 'callTool' ? null : textIn(params.name ?? params.uri),
      outcome: 'refused',
      errorCode,
      // no step was taken
      durationMs: 0,
      facts: actorFacts(request.principal),
      traceId: trace.traceId,
    },
    trace,
  );
};
