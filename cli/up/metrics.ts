import { once } from 'node:events';
import { createServer } from 'node:http';
import { PlatformError } from '../../schema/errors.ts';
import type { PartReport } from './part.ts';

/** Prometheus text (version 0.0.4) about the processes. @see https://prometheus.io/docs/instrumenting/exposition_formats/ */
export const renderMetrics = (version: string, reports: readonly PartReport[]): string => {
  const perProcess = (metric: string, value: (report: PartReport) => number): string[] =>
    reports.map((report) => `${metric}{process="${report.name}"} ${value(report)}`);
  return [
    '# HELP quarterdeck_build_info Version that runs.',
    '# TYPE quarterdeck_build_info gauge',
    `quarterdeck_build_info{version="${version}",node="${process.version}"} 1`,
    '# HELP quarterdeck_process_up Whether the process serves.',
    '# TYPE quarterdeck_process_up gauge',
    ...perProcess('quarterdeck_process_up', ({ state }) => (state === 'running' ? 1 : 0)),
    '# HELP quarterdeck_process_restarts_total How often the process was started again.',
    '# TYPE quarterdeck_process_restarts_total counter',
    ...perProcess('quarterdeck_process_restarts_total', ({ restarts }) => restarts),
    '',
  ].join('\n');
};

/** Serves `/metrics` on 127.0.0.1. A Host header of another name is refused, as a page that was led here by DNS would send. */
export const serveMetrics = async (port: number, render: () => string): Promise<{ close(): Promise<void> }> => {
  const server = createServer((request, response) => {
    if (request.headers.host !== `127.0.0.1:${port}` && request.headers.host !== `localhost:${port}`)
      return void response.writeHead(403).end();
    if (request.method !== 'GET' || request.url !== '/metrics') return void response.writeHead(404).end();
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(render());
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
