import type { PlatformError } from '../../schema/errors.ts';
import { type JsonRpcNotification, type JsonRpcRequest, objectAt } from './json-rpc.ts';

/** A server may go on with a cancelled request; for so long it is taken to do so unless it answers. */
const cancelledRunsMs = 60_000;

/** Scope of the host's own requests; no header can hold it, so no caller can have it. */
export const hostScope = '\0host';

/** A request on its way, as its caller gave it. */
export type PendingRequest = {
  readonly scope: string;
  readonly request: JsonRpcRequest;
  /** Tells the caller what the server says before its answer; false when it is not taken. Absent for callers that cannot hear. */
  readonly hear?: (message: JsonRpcNotification) => boolean;
  /** Aborted when the caller is gone. */
  readonly signal?: AbortSignal;
  readonly settle: (outcome: string | PlatformError) => void;
};

/** Whether it stands open by design, until its caller or the server ends it. */
export const isListen = ({ request }: PendingRequest): boolean => request.method === 'subscriptions/listen';

export type PendingRequests = ReturnType<typeof createPendingRequests>;

/** Who waits for what of one process, by the id that the process knows. @param now - clock in milliseconds */
export const createPendingRequests = (now: () => number) => {
  const pending = new Map<number, PendingRequest>();
  const cancelled = new Map<number, { entry: PendingRequest; at: number }>();
  let lastId = 0;

  return {
    add: (entry: PendingRequest): number => {
      lastId += 1;
      pending.set(lastId, entry);
      return lastId;
    },
    get: (id: number): PendingRequest | undefined => pending.get(id),
    /** Ends the wait; does nothing for an id that nobody waits for. */
    settle: (id: number, outcome: string | PlatformError): void => {
      const entry = pending.get(id);
      if (entry === undefined) cancelled.delete(id);
      pending.delete(id);
      entry?.settle(outcome);
    },
    /** As `settle`, of a request that the server has not answered and may go on with. */
    abandon: (id: number, outcome: string): void => {
      const entry = pending.get(id);
      if (entry === undefined) return;
      pending.delete(id);
      cancelled.set(id, { entry, at: now() });
      entry.settle(outcome);
    },
    idsWhere: (matches: (entry: PendingRequest) => boolean): number[] =>
      [...pending].filter(([, entry]) => matches(entry)).map(([id]) => id),
    /**
     * What callers asked for and the server may be working on, oldest first: also what was cancelled a moment ago, since what the server says
     * may still belong to it; nobody hears that. Standing requests are not work.
     */
    underWay: (): PendingRequest[] => {
      for (const [id, { at }] of cancelled) if (now() - at >= cancelledRunsMs) cancelled.delete(id);
      const left = [...cancelled.values()].map(({ entry: { scope, request, settle } }): PendingRequest => ({ scope, request, settle }));
      const entries = [...left, ...pending.values()];
      return entries.filter((entry) => entry.scope !== hostScope && !isListen(entry));
    },
    /** Whether a caller waits: for an answer, or for news of a resource, but not merely for changes of lists. */
    isBusy: (): boolean =>
      [...pending.values()].some((entry) => {
        const { resourceSubscriptions } = objectAt(entry.request.params, 'notifications');
        return (
          entry.scope !== hostScope && (!isListen(entry) || (Array.isArray(resourceSubscriptions) && resourceSubscriptions.length > 0))
        );
      }),
    /** Requests of callers that wait for their answer. */
    count: (): number => [...pending.values()].filter(({ scope }) => scope !== hostScope).length,
  };
};
