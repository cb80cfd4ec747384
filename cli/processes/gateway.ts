import { startGateway } from '../../gateway/start-gateway.ts';
import type { RunningProcess } from './messages.ts';
import type { ProcessConfigs } from './process-configs.ts';

export const startGatewayProcess = (config: ProcessConfigs['gateway']): Promise<RunningProcess> => startGateway(config);
