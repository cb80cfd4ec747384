import { startGateway } from '../../gateway/start-gateway.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { lookupKeychain } from './ask-keychain.ts';
import type { ProcessTelemetry, RunningProcess } from './messages.ts';
import type { ProcessConfigs } from './process-configs.ts';

export const startGatewayProcess = (
  config: ProcessConfigs['gateway'],
  _logger: Logger,
  telemetry: ProcessTelemetry,
): Promise<RunningProcess> => startGateway(config, { ...telemetry, lookupKeychain });
