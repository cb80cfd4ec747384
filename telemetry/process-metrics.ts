import { performance } from 'node:perf_hooks';
import { Counter, Gauge, Registry } from 'prom-client';

/** What one process measures; each of its series carries the name of the process. */
export type Metrics = Registry;

/**
 * What a process says of itself, in the names that Prometheus' clients share. Nothing is measured until somebody asks: a timer for the
 * delay of the event loop would wake every idle process a hundred times a second.
 * @param options.process - its name, e.g. `gateway`
 * @see https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
 */
export const createMetrics = ({ process: name }: { process: string }): Metrics => {
  const registry = new Registry();
  registry.setDefaultLabels({ process: name });
  const registers = [registry];
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Processor time of the process, in seconds.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1_000_000);
    },
  });
  new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Resident memory of the process.',
    registers,
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  new Gauge({
    name: 'nodejs_heap_size_used_bytes',
    help: 'What is used of the heap of V8.',
    registers,
    collect() {
      this.set(process.memoryUsage().heapUsed);
    },
  });
  let before = performance.eventLoopUtilization();
  new Gauge({
    name: 'nodejs_eventloop_utilization',
    help: 'Which part of the time since it was last asked the event loop was busy, 0 to 1.',
    registers,
    collect() {
      const now = performance.eventLoopUtilization();
      this.set(performance.eventLoopUtilization(now, before).utilization);
      before = now;
    },
  });
  new Gauge({ name: 'process_start_time_seconds', help: 'When the process was started, in seconds since the epoch.', registers }).set(
    Math.round(performance.timeOrigin / 1000),
  );
  return registry;
};
