import type { ObservedObject, Symptom } from '../../schema/reconcile/observation.ts';
import { listReports } from '../../store/process-reports.ts';
import { digestOf } from './kubernetes-state.ts';
import {
  answerWithinMs,
  NothingSaid,
  type PlatformContext,
  type PlatformPart,
  platformObject,
  platformRef,
  symptom,
} from './platform-context.ts';

type Temporal = NonNullable<PlatformContext['temporal']>;

/** `temporal.api.enums.v1.TaskQueueType`: activities, and workflows where the queue has them. */
const activityQueue = 2;

const millisecondsOf = (at: { seconds?: unknown } | null | undefined): number => Number(String(at?.seconds ?? 0)) * 1000;

/**
 * Who waits for work at each task queue that agents need; without anybody at that of `apply` nothing would be mended here. `NoPollers`: nobody has asked for a while, or all workers that were at it have fallen silent.
 * @see https://docs.temporal.io/task-queue
 */
export const createPlatformWorkers = (context: PlatformContext): PlatformPart => {
  const lastPollMs = async ({ workflowService, options }: Temporal, name: string): Promise<number> => {
    const { pollers = [] } = await workflowService.describeTaskQueue({
      namespace: options.namespace,
      taskQueue: { name },
      taskQueueType: activityQueue,
    });
    return Math.max(0, ...(pollers ?? []).map(({ lastAccessTime }) => millisecondsOf(lastAccessTime as { seconds?: unknown })));
  };

  return {
    see: async (): Promise<ObservedObject[]> => {
      const { temporal, database, patience, now } = context;
      if (!temporal) throw new NothingSaid('this process reaches no Temporal server');
      const workers = (await listReports(database)).flatMap(({ report, isLive }) =>
        report.process === 'worker' ? [{ isLive, ...report }] : [],
      );
      return Promise.all(
        Object.values(context.queues).map(async (queue) => {
          const polledAtMs = await temporal.withDeadline(Date.now() + answerWithinMs, () => lastPollMs(temporal, queue));
          const ofQueue = workers.filter(({ queues }) => queues.includes(queue));
          const isSilent = ofQueue.length > 0 && !ofQueue.some(({ isLive }) => isLive);
          const symptoms: Symptom[] = [];
          if (polledAtMs === 0) symptoms.push(symptom('NoPollers', `Nobody waits for work at the queue ${queue}.`));
          else if (now().getTime() - polledAtMs > patience.pollersMs)
            symptoms.push(symptom('NoPollers', `Nobody has asked the queue ${queue} for work for ${patience.pollersMs / 1000} s.`));
          else if (isSilent) symptoms.push(symptom('NoPollers', `All workers of the queue ${queue} have fallen silent.`));
          return platformObject(platformRef('Worker', '', queue), digestOf(['queue', queue]), { queue }, symptoms);
        }),
      );
    },
  };
};
