import { startHost } from '../../runtime/host/start-host.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { RunningProcess } from './messages.ts';
import type { ProcessConfigs } from './process-configs.ts';

export const startHostProcess = (config: ProcessConfigs['host'], logger: Logger): Promise<RunningProcess> => startHost(config, { logger });
