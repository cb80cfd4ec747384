import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { GatewayConfig } from '../../gateway/gateway-config.ts';

const entry = fileURLToPath(new URL('../../cli/process.ts', import.meta.url));

/**
 * Starts the gateway as `quarterdeck up` does: a process of its own, told what to do by its channel. `kill` is SIGKILL.
 * @param options.execArgv - what Node itself is told, such as where its inspector listens
 */
export const startGatewayProcess = async (config: GatewayConfig, { execArgv = [] }: { execArgv?: string[] } = {}) => {
  const child = fork(entry, ['gateway'], { stdio: ['ignore', 'ignore', execArgv.length > 0 ? 'ignore' : 'inherit', 'ipc'], execArgv });
  child.send({ type: 'config', config, logLevel: 'error' });
  const [message] = (await once(child, 'message')) as [{ type: string; detail?: string }];
  if (message.type !== 'ready') throw new Error(message.detail);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  };
  return { pid: child.pid as number, kill: () => end('SIGKILL'), close: () => end('SIGTERM') };
};
