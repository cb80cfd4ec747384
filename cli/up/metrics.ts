import { once } from 'node:events';
import { createServer } from 'node:http';
import { AggregatorRegistry, Counter, Gauge, Registry } from 'prom-client';
import { PlatformError } from '../../schema/errors.ts';
import type { MeasuredMetric } from '../processes/messages.ts';
import { productVersion } from '../product-version.ts';
import type { PartReport } from './part.ts';

/** How the processes are, as the supervisor knows it. */
const supervised = async (reports: readonly PartReport[]): Promise<MeasuredMetric[]> => {
  const registers = [new Registry()];
  const labelNames = ['process'];
  const up = new Gauge({ name: 'quarterdeck_process_up', help: 'Whether the process serves.', labelNames, registers });
  const restarts = new Counter({
    name: 'quarterdeck_process_restarts_total',
    help: 'How often the process was started again.',
    labelNames,
    registers,
  });
  for (const { name, state, restarts: count } of reports) {
    up.set({ process: name }, state === 'running' ? 1 : 0);
    restarts.inc({ process: name }, count);
  }
  new Gauge({ name: 'quarterdeck_build_info', help: 'Version that runs.', labelNames: ['version', 'node'], registers }).set(
    { version: productVersion, node: process.version },
    1,
  );
  return (registers[0] as Registry).getMetricsAsJSON();
};

/**
 * Prometheus text about the processes, and what each of them measures itself.
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export const renderMetrics = async (reports: readonly PartReport[], measured: readonly MeasuredMetric[][]): Promise<string> =>
  AggregatorRegistry.aggregate([await supervised(reports), ...measured]).metrics();

/** Serves `/metrics` on 127.0.0.1. A Host header of another name is refused, as a page that was led here by DNS would send. */
export const serveMetrics = async (port: number, render: () => Promise<string>): Promise<{ close(): Promise<void> }> => {
  const server = createServer(async (request, response) => {
    if (request.headers.host !== `127.0.0.1:${port}` && request.headers.host !== `localhost:${port}`)
      return void response.writeHead(403).end();
    if (request.method !== 'GET' || request.url !== '/metrics') return void response.writeHead(404).end();
    const text = await render();
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text);
  });
  server.listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new PlatformError('port_taken', `Port ${port} (metrics) is taken; choose others with \`--port\`.`, { cause });
  }
  return {
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
};
