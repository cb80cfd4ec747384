import { once } from 'node:events';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { z } from 'zod';

const SpanSchema = z.object({
  traceId: z.string(),
  spanId: z.string(),
  parentSpanId: z.string().optional(),
  name: z.string(),
  kind: z.number(),
  startTimeUnixNano: z.string(),
  endTimeUnixNano: z.string(),
  attributes: z.array(z.object({ key: z.string(), value: z.record(z.string(), z.unknown()) })),
  status: z.object({ code: z.number().optional() }).optional(),
});
export type CollectedSpan = Omit<z.infer<typeof SpanSchema>, 'attributes'> & { service: string; attributes: Record<string, unknown> };

const innerValue = (value: Record<string, unknown>): unknown => Object.values(value)[0];
const attributesOf = (attributes: z.infer<typeof SpanSchema>['attributes']) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, innerValue(value)]));

const RequestSchema = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes: SpanSchema.shape.attributes }),
      scopeSpans: z.array(z.object({ spans: z.array(SpanSchema) })),
    }),
  ),
});

/** Takes spans as an OpenTelemetry collector does (OTLP over HTTP, JSON), and keeps them. */
export const startTraceCollector = async () => {
  const spans: CollectedSpan[] = [];
  const bodies: string[] = [];
  const keys: (string | string[] | undefined)[] = [];
  const server = createServer(async (request, response) => {
    const body = await text(request);
    if (request.url !== '/v1/traces') return void response.writeHead(404).end();
    bodies.push(body);
    keys.push(request.headers['x-key']);
    for (const { resource, scopeSpans } of RequestSchema.parse(JSON.parse(body)).resourceSpans)
      for (const span of scopeSpans.flatMap((each) => each.spans))
        spans.push({
          ...span,
          service: String(attributesOf(resource.attributes)['service.name']),
          attributes: attributesOf(span.attributes),
        });
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    spans,
    bodies,
    keys,
    close: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
};
