import { type PlatformError, toPlatformError } from '../schema/errors.ts';
import { takeUpRootKeys } from '../store/secrets/root-versions.ts';
import { createLogger, type Logger } from '../telemetry/logger.ts';
import { createMetrics } from '../telemetry/process-metrics.ts';
import { redactor } from '../telemetry/redactor.ts';
import type {
  ConfigMessage,
  MeasureMessage,
  ProcessMessage,
  ProcessTelemetry,
  RootKeysMessage,
  RunningProcess,
} from './processes/messages.ts';
import type { ProcessConfigs, ProcessName } from './processes/process-configs.ts';
import { releaseStartMemory } from './processes/release-start-memory.ts';
import { productVersion } from './product-version.ts';

/**
 * Entry of each process that `quarterdeck up` starts: `node cli/process.ts NAME`, with a channel to the supervisor. It takes its
 * configuration from there, says when it serves, and ends when it is told to (SIGTERM) or when the supervisor is gone.
 */
type Starter<Name extends ProcessName> = (
  config: ProcessConfigs[Name],
  logger: Logger,
  telemetry: ProcessTelemetry,
) => Promise<RunningProcess>;

const starters: { [Name in ProcessName]: () => Promise<Starter<Name>> } = {
  control: async () => (await import('./processes/control.ts')).startControlProcess,
  gateway: async () => (await import('./processes/gateway.ts')).startGatewayProcess,
  host: async () => (await import('./processes/host.ts')).startHostProcess,
  egress: async () => (await import('./processes/egress.ts')).startEgressProcess,
  worker: async () => (await import('./processes/worker.ts')).startWorkerProcess,
  'local-model': async () => (await import('./processes/local-model.ts')).startLocalModelProcess,
};

/** The library that speaks to a collector is loaded where there is one. */
const telemetryOf = async ({ tracing }: ConfigMessage): Promise<ProcessTelemetry> => {
  const metrics = createMetrics({ process: name });
  if (!tracing) return { metrics };
  for (const value of Object.values(tracing.headers ?? {})) redactor.know(value);
  const { startTracing } = await import('../telemetry/tracing.ts');
  return { metrics, tracing: startTracing({ ...tracing, service: `quarterdeck-${name}`, version: productVersion }) };
};

/** Longer than any process may take; then it has hung. */
const closeWithinMs = 8_000;

const name = process.argv[2] as ProcessName;
const starter = starters[name] as (() => Promise<Starter<ProcessName>>) | undefined;
if (!process.send || starter === undefined) {
  process.stderr.write('This is a part of `quarterdeck up`, which starts it: run that.\n');
  process.exit(2);
}

const answer = (message: ProcessMessage): Promise<void> =>
  new Promise((resolve) => (process.send && process.connected ? process.send(message, () => resolve()) : resolve()));

/** Messages of foreign errors may hold what they were about (parameters of a query, say), so only their kind and place are logged. */
const logFailure = (logger: Logger, event: string, thrown: unknown): PlatformError => {
  const error = toPlatformError(thrown);
  const origin = (error.cause ?? thrown) as Partial<Error & { code: string }>;
  const at = origin.stack?.split('\n').filter((line) => line.startsWith('    at '));
  logger.fatal({ event, code: error.code, detail: error.detail, cause: origin.name, causeCode: origin.code, at }, event);
  return error;
};

process.once('message', async (message: ConfigMessage) => {
  redactor.useKey(Buffer.from(message.redactionKey, 'base64'));
  const logger = createLogger({ name, level: message.logLevel });
  takeUpRootKeys(message.rootKeys);
  // heard from the first moment on: what is said while this starts is said once
  process.on('message', ({ type, changes }: RootKeysMessage) => {
    if (type !== 'root-keys') return;
    takeUpRootKeys(changes);
    logger.info({ event: 'root-keys-changed' }, 'keys that wrap others have other versions');
  });
  const telemetry = await telemetryOf(message);
  let running: Promise<RunningProcess> | undefined;
  let isClosing = false;
  const close = async (reason: string): Promise<void> => {
    if (isClosing) return;
    isClosing = true;
    logger.info({ event: 'process-stopping', reason }, 'stopping');
    setTimeout(() => process.exit(1), closeWithinMs).unref();
    try {
      await (await running)?.close();
      await telemetry.tracing?.close().catch(() => undefined); // a collector that is away
      process.exit(0);
    } catch (error) {
      logFailure(logger, 'process-stop-failed', error);
      process.exit(1);
    }
  };
  process.on('SIGTERM', () => void close('told to'));
  process.on('disconnect', () => void close('the supervisor is gone'));
  for (const event of ['uncaughtException', 'unhandledRejection'] as const)
    process.on(event, (error: unknown) => {
      logFailure(logger, 'process-failed', error);
      process.exit(1);
    });
  process.on('message', async ({ type, number }: MeasureMessage) => {
    if (type === 'measure') await answer({ type: 'measured', number, metrics: await telemetry.metrics.getMetricsAsJSON() });
  });
  try {
    const start = await starter();
    running = start(message.config as ProcessConfigs[ProcessName], logger, telemetry);
    await running;
    await answer({ type: 'ready' });
    logger.info({ event: 'process-ready' }, 'ready');
    releaseStartMemory();
  } catch (thrown) {
    const error = logFailure(logger, 'process-start-failed', thrown);
    await answer({ type: 'failed', detail: error.detail });
    process.exit(1);
  }
});
process.on('SIGINT', () => undefined); // Ctrl-C is the supervisor's affair
