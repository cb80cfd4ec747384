import { DefaultLogger, type LogLevel, Runtime, type Logger as TemporalLogger } from '@temporalio/worker';
import type { Logger } from '../../telemetry/logger.ts';

const levels: Record<LogLevel, 'debug' | 'info' | 'warn' | 'error'> = {
  TRACE: 'debug',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  ERROR: 'error',
};

/** Ids and names; errors and inputs, which may hold content, are left out. */
const loggedFields = ['workflowId', 'runId', 'workflowType', 'activityType', 'activityId', 'attempt', 'taskQueue', 'namespace'] as const;

/** Sends what the Temporal SDK says, from warnings on, to a process's log. Call it before anything else of the SDK. */
export const routeTemporalLogs = (logger: Logger): TemporalLogger => {
  const routed = new DefaultLogger('WARN', ({ level, message, meta }) => {
    const fields = Object.fromEntries(loggedFields.flatMap((field) => (meta?.[field] === undefined ? [] : [[field, meta[field]]])));
    logger[levels[level]]({ part: 'temporal-sdk', ...fields }, message);
  });
  Runtime.install({ logger: routed });
  return routed;
};
