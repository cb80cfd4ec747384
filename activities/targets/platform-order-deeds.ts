import type { ProcessOrder } from '../../schema/process-report.ts';
import type { PlatformOperation } from '../../schema/reconcile/operation.ts';
import { isOrderGiven } from '../../store/process-reports.ts';
import { type Deed, type PlatformContext, PlatformRefusal, type PlatformTarget } from './platform-context.ts';
import { createOrders } from './platform-orders.ts';

type Ordered = Extract<
  PlatformOperation,
  { op: 'refreshTools' | 'rebuildRoute' | 'reloadPolicies' | 'refetchKeys' | 'rotateCredential' | 'restoreWorkers' }
>;

const orderOf = ({ org, project }: PlatformTarget, { op, object }: Ordered): ProcessOrder => {
  const at = { process: 'gateway', org, project } as const;
  switch (op) {
    case 'refreshTools':
      return { ...at, do: 'look-again', server: object.name };
    case 'rebuildRoute':
      return { ...at, do: 'rebuild-route', server: object.name };
    case 'reloadPolicies':
      return { ...at, do: 'reload-policies' };
    case 'refetchKeys':
      return { process: 'gateway', do: 'refetch-keys' };
    case 'rotateCredential':
      return { ...at, do: 'renew-credential', server: object.name };
    case 'restoreWorkers':
      return { process: 'control', do: 'restart-workers' };
  }
};

/** Operations that processes of ours carry out in their own memory; they change nothing that is kept here, so there is nothing to undo. A credential
 * that was rotated cannot be had back either: its issuer, or whoever keeps it, gave out another one. What it is never leaves the gateway. */
export const createOrderDeeds = (context: PlatformContext) => {
  const give = createOrders(context);
  return (target: PlatformTarget, operation: Ordered): Deed => {
    const order = orderOf(target, operation);
    return {
      changes: [{ path: `/${order.process}s`, after: order }],
      isBegun: (operationId) => isOrderGiven(context.database, operationId),
      run: async ({ operationId, signal }) => {
        const outcome = await give(operationId, order, signal);
        switch (outcome.kind) {
          case 'done':
            return 'done';
          case 'nobody':
            throw new PlatformRefusal('refused', `There is no process ${order.process} that could ${order.do}.`);
          case 'failed':
            throw new PlatformRefusal('refused', outcome.message);
          case 'late':
            throw new PlatformRefusal('unknown', outcome.message);
        }
      },
    };
  };
};
