import type { NewAuditEvent } from '../schema/audit-event.ts';
import { createCallMetrics } from '../telemetry/call-metrics.ts';
import type { Metrics } from '../telemetry/process-metrics.ts';
import type { Tracing } from '../telemetry/tracing.ts';
import { methodActions } from './mcp/method-actions.ts';
import { isSampled, spanIdOf, type Trace } from './mcp/trace-context.ts';

/** Told of each call that has ended, as it is put on record, and of the trace that it is a part of. */
export type ObserveCall = (event: NewAuditEvent, trace: Trace) => void;

const mcpMethods: Readonly<Record<string, string>> = Object.fromEntries([...methodActions].map(([method, action]) => [action, method]));

/** What there is of these. */
const known = (attributes: Record<string, string | number | null | undefined>): Record<string, string | number> =>
  Object.fromEntries(Object.entries(attributes).flatMap(([name, value]) => (value === null || value === undefined ? [] : [[name, value]])));

const attributesOf = (event: NewAuditEvent): Record<string, string | number> => {
  const method = mcpMethods[event.action];
  return known({
    'mcp.method.name': method,
    'gen_ai.operation.name': event.action === 'callTool' ? 'execute_tool' : event.action === 'invokeModel' ? 'chat' : undefined,
    'gen_ai.tool.name': event.tool,
    'gen_ai.request.model': event.model,
    'gen_ai.usage.input_tokens': event.inputTokens,
    'gen_ai.usage.output_tokens': event.outputTokens,
    'gen_ai.agent.name': event.role,
    'quarterdeck.org': event.org,
    'quarterdeck.project': event.project,
    'quarterdeck.toolset': event.toolset,
    'quarterdeck.server': event.server,
    'quarterdeck.fleet': event.fleet,
    'quarterdeck.run': event.run,
    'quarterdeck.decision': event.decisionId,
    'quarterdeck.outcome': event.outcome,
  });
};

/** As the conventions have it: what is done, and to which of a few things. */
const nameOf = ({ action, tool, model }: NewAuditEvent): string => {
  const thing = tool ?? model;
  const what = mcpMethods[action] ?? (action === 'invokeModel' ? 'chat' : action);
  return thing ? `${what} ${thing}` : what;
};

const endedWell = new Set<NewAuditEvent['outcome']>(['ok', 'pending']);

/**
 * Sends each call as a span: its parent is whoever asked, and what is behind the gateway was told this span as its own parent. No argument,
 * no result and no person is in it.
 * @see https://opentelemetry.io/docs/specs/semconv/gen-ai/mcp/
 */
const observeAsSpans =
  ({ record }: Tracing, now: () => number): ObserveCall =>
  (event, trace) => {
    if (event.kind === 'intent' || !isSampled(trace)) return;
    const endMs = now();
    record({
      name: nameOf(event),
      kind: 'server',
      traceId: trace.traceId,
      spanId: spanIdOf(trace),
      ...(trace.parentSpanId === undefined ? {} : { parentSpanId: trace.parentSpanId }),
      startMs: endMs - (event.durationMs ?? 0),
      endMs,
      attributes: attributesOf(event),
      ...(endedWell.has(event.outcome) ? {} : { errorType: event.errorCode ?? event.outcome }),
    });
  };

/** Those who want to know of calls, as one; undefined where there are none, so that nothing is done for them. */
export const observeCalls = ({
  metrics,
  tracing,
  now,
}: {
  metrics: Metrics | undefined;
  tracing: Tracing | undefined;
  now: () => number;
}): ObserveCall | undefined => {
  const count = metrics && createCallMetrics(metrics);
  const span = tracing && observeAsSpans(tracing, now);
  if (!count || !span) return count ?? span;
  return (event, trace) => {
    count(event);
    span(event, trace);
  };
};
