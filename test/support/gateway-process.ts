import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ConfigMessage, ProcessMessage } from '../../cli/processes/messages.ts';
import { askMeasures } from '../../cli/up/ask-measures.ts';
import { renderMetrics } from '../../cli/up/metrics.ts';
import type { GatewayConfig } from '../../gateway/gateway-config.ts';
import type { TracingOptions } from '../../telemetry/tracing.ts';

const entry = fileURLToPath(new URL('../../cli/process.ts', import.meta.url));

/**
 * Starts the gateway as `quarterdeck up` does: a process of its own, told what to do by its channel. `kill` is SIGKILL.
 * @param options.execArgv - what Node itself is told, such as where its inspector listens
 * @param options.tracing - where its spans go
 */
export const startGatewayProcess = async (
  config: GatewayConfig,
  { execArgv = [], tracing }: { execArgv?: string[]; tracing?: TracingOptions } = {},
) => {
  const child = fork(entry, ['gateway'], { stdio: ['ignore', 'ignore', execArgv.length > 0 ? 'ignore' : 'inherit', 'ipc'], execArgv });
  const redactionKey = Buffer.alloc(32, 9).toString('base64');
  const told: ConfigMessage = { type: 'config', config, logLevel: 'error', redactionKey, rootKeys: [], ...(tracing ? { tracing } : {}) };
  child.send(told);
  const [message] = (await once(child, 'message')) as [ProcessMessage];
  if (message.type !== 'ready') throw new Error('detail' in message ? message.detail : message.type);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  };
  return {
    pid: child.pid as number,
    /** What it measures, as Prometheus reads it. */
    metrics: async () => renderMetrics([], [await askMeasures(child)]),
    kill: () => end('SIGKILL'),
    close: () => end('SIGTERM'),
  };
};
