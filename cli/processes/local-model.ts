import { startLocalModel } from '../../runtime/local-model/start-local-model.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { RunningProcess } from './messages.ts';
import type { ProcessConfigs } from './process-configs.ts';

export const startLocalModelProcess = (config: ProcessConfigs['local-model'], logger: Logger): Promise<RunningProcess> =>
  startLocalModel(config, { logger });
