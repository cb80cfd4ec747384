import { type Attributes, type HrTime, SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace';
import { redactor } from './redactor.ts';

/** Where spans go. */
export type TracingOptions = {
  /** Base URL of an OpenTelemetry collector (OTLP over HTTP); spans go to `/v1/traces` below it. */
  endpoint: string;
  /** Sent with each request, such as a key of the collector's. Secret. */
  headers?: Readonly<Record<string, string>>;
};

/** Something that took time, as part of a trace. Its ids are those that other hops were told. */
export type CallSpan = {
  name: string;
  kind: 'server' | 'client';
  /** 32 hexadecimal digits. */
  traceId: string;
  /** 16 hexadecimal digits. */
  spanId: string;
  parentSpanId?: string;
  /** Milliseconds since the epoch. */
  startMs: number;
  endMs: number;
  /** Names and numbers, never content. */
  attributes: Attributes;
  /** Code of the error, where it ended in one. */
  errorType?: string;
};

export type Tracing = {
  record(span: CallSpan): void;
  /** Sends what waits, and gives up after a second. */
  close(): Promise<void>;
};

/** A process that ends does not wait longer for a collector that is away. */
const closeWithinMs = 1_000;

const hrTime = (ms: number): HrTime => [Math.floor(ms / 1000), Math.round((ms % 1000) * 1_000_000)];
/** Names that callers give, such as that of a tool, may hold anything. */
const withoutSecrets = (attributes: Attributes): Attributes =>
  Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, typeof value === 'string' ? redactor.text(value) : value]));

const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT } as const;

/**
 * Sends spans to a collector, in batches and beside the work: a collector that is away costs spans and nothing else. Spans are made of
 * calls that have ended, because their ids were given away while they ran.
 * @param options.service - `service.name`, e.g. `quarterdeck-gateway`
 * @see https://opentelemetry.io/docs/specs/otlp/
 */
export const startTracing = ({ endpoint, headers, service, version }: TracingOptions & { service: string; version: string }): Tracing => {
  const url = `${endpoint.replace(/\/$/, '')}/v1/traces`;
  const processor = new BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url, ...(headers ? { headers: { ...headers } } : {}) }) });
  const resource = resourceFromAttributes({ 'service.name': service, 'service.version': version, 'process.pid': process.pid });
  const instrumentationScope = { name: 'quarterdeck', version };
  return {
    record: ({ name, kind, traceId, spanId, parentSpanId, startMs, endMs, attributes, errorType }) => {
      const context = { traceId, spanId, traceFlags: TraceFlags.SAMPLED };
      processor.onEnd({
        name: redactor.text(name),
        kind: kinds[kind],
        spanContext: () => context,
        ...(parentSpanId === undefined ? {} : { parentSpanContext: { ...context, spanId: parentSpanId, isRemote: true } }),
        startTime: hrTime(startMs),
        endTime: hrTime(endMs),
        duration: hrTime(endMs - startMs),
        status: { code: errorType === undefined ? SpanStatusCode.UNSET : SpanStatusCode.ERROR },
        attributes: withoutSecrets(errorType === undefined ? attributes : { ...attributes, 'error.type': errorType }),
        links: [],
        events: [],
        ended: true,
        resource,
        instrumentationScope,
        droppedAttributesCount: 0,
        droppedEventsCount: 0,
        droppedLinksCount: 0,
      });
    },
    close: () => Promise.race([processor.shutdown(), new Promise<void>((resolve) => setTimeout(resolve, closeWithinMs))]),
  };
};
