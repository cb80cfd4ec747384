import { Client, Connection, isGrpcServiceError } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { PlatformError } from '../../schema/errors.ts';
import { fleetWorkflowId, reconcileWorkflowId } from '../../schema/ids.ts';
import {
  type ApprovalDecided,
  approvalDecidedSignal,
  targetChangedSignal,
  taskQueues,
  workflowTypes,
} from '../../schema/workflow-contract.ts';
import type { TemporalPort } from './api-dependencies.ts';

const answerWithinMs = 3_000;

/** gRPC: 1 cancelled, 4 deadline exceeded, 8 resource exhausted, 14 unavailable. */
const awayStatuses: ReadonlySet<number> = new Set([1, 4, 8, 14]);

const isAway = (error: unknown): boolean => {
  const links = [error, (error as Error).cause].filter(isGrpcServiceError);
  // before the first connection the client says only that it could not connect
  return links.some(({ code }) => awayStatuses.has(code)) || (links.length === 0 && /connect/i.test(String(error)));
};

/**
 * Starts and cancels fleets on a Temporal server, has targets reconciled, and wakes who waits. It connects at the first request, and again after the server was away.
 * A workflow that runs already is found by its id, so a start may be repeated; one that has ended is started anew, which is how a
 * run is resumed.
 * @param options.address - `host:port` of Temporal's frontend
 * @throws {PlatformError} `store_unavailable` from both requests, when Temporal does not answer within three seconds
 */
export const createTemporalPort = ({
  address,
  namespace = 'default',
}: {
  address: string;
  namespace?: string;
}): TemporalPort & { close(): Promise<void> } => {
  const connection = Connection.lazy({ address, connectTimeout: answerWithinMs });
  const client = new Client({ connection, namespace });

  const ask = async <T>(request: () => Promise<T>): Promise<T> => {
    try {
      return await connection.withDeadline(Date.now() + answerWithinMs, request);
    } catch (cause) {
      if (cause instanceof WorkflowNotFoundError) throw cause;
      if (!isAway(cause)) throw cause;
      throw new PlatformError('store_unavailable', `Temporal does not answer at ${address}; the run goes on as soon as it does.`, {
        cause,
      });
    }
  };

  return {
    startFleet: (input) =>
      ask(async () => {
        await client.workflow.start(workflowTypes.fleet, {
          taskQueue: taskQueues.control,
          workflowId: fleetWorkflowId(input),
          workflowIdConflictPolicy: 'USE_EXISTING',
          workflowIdReusePolicy: 'ALLOW_DUPLICATE',
          args: [input],
        });
      }),
    cancelFleet: async (key) => {
      try {
        await ask(() => client.workflow.getHandle(fleetWorkflowId(key)).cancel());
        return 'requested';
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return 'gone';
        throw error;
      }
    },
    tellAgent: async ({ agent, approvalId }) => {
      try {
        const decided: ApprovalDecided = { approvalId };
        await ask(() => client.workflow.getHandle(agent).signal(approvalDecidedSignal, decided));
        return 'told';
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return 'gone';
        throw error;
      }
    },
    startReconcile: ({ org, project, target }) =>
      ask(async () => {
        await client.workflow.signalWithStart(workflowTypes.reconcile, {
          taskQueue: taskQueues.control,
          workflowId: reconcileWorkflowId({ org, project, target }),
          workflowIdReusePolicy: 'ALLOW_DUPLICATE',
          args: [{ org, project, target }],
          signal: targetChangedSignal,
        });
      }),
    isReconciling: async (key) => {
      try {
        const { status } = await ask(() => client.workflow.getHandle(reconcileWorkflowId(key)).describe());
        return status.name === 'RUNNING';
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return false;
        throw error;
      }
    },
    close: () => connection.close(),
  };
};
