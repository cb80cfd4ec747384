import { PlatformError } from '../../schema/errors.ts';
import type { ReadyInstance, ServerLaunch } from '../../schema/server-launch.ts';
import { createServerInstance, describeReady, type InstanceParts, type ServerInstance } from './server-instance.ts';

/** Every instance of this host, by its id. */
export type InstanceTable = {
  /** Starts the instance, or finds it running; another digest replaces it. Calls for one id happen one after the other. */
  ensure(launch: ServerLaunch): Promise<ReadyInstance>;
  /** @throws {PlatformError} `not_found` */
  get(id: string): ServerInstance;
  /** Stops and forgets an instance; one that is not there is fine. */
  remove(id: string): Promise<void>;
  list(): { id: string; digest: string; state: 'ready' | 'stopped'; pid: number | null; isolation: 0 | 1 | null; pending: number }[];
  close(): Promise<void>;
};

export const createInstanceTable = (parts: InstanceParts): InstanceTable => {
  const instances = new Map<string, ServerInstance>();
  const queues = new Map<string, Promise<unknown>>();
  let isClosed = false;

  const inTurn = <Result>(id: string, task: () => Promise<Result>): Promise<Result> => {
    const turn = (queues.get(id) ?? Promise.resolve()).then(task, task);
    queues.set(id, turn);
    const forget = () => {
      if (queues.get(id) === turn) queues.delete(id);
    };
    turn.then(forget, forget);
    return turn;
  };

  const remove = async (id: string): Promise<void> => {
    const instance = instances.get(id);
    instances.delete(id);
    await instance?.stop();
  };

  /** A start under way is given up at once; waiting for it could take longer than a shutdown may. */
  const stopNow = async (id: string): Promise<void> => {
    void instances.get(id)?.stop();
    await inTurn(id, () => remove(id));
  };

  const ensure = async (launch: ServerLaunch): Promise<ReadyInstance> => {
    if (isClosed) throw new PlatformError('server_unavailable', 'The host is shutting down.', { facts: { sent: false } });
    if (instances.get(launch.id)?.launch.digest !== launch.digest) {
      await remove(launch.id);
      instances.set(launch.id, createServerInstance(launch, parts));
    }
    const instance = instances.get(launch.id);
    if (instance === undefined) throw new PlatformError('not_found', `There is no instance ${launch.id}.`);
    return describeReady(await instance.ready());
  };

  return {
    ensure: (launch) => inTurn(launch.id, () => ensure(launch)),
    remove: (id) => stopNow(id),
    get: (id) => {
      const instance = instances.get(id);
      if (instance === undefined) throw new PlatformError('not_found', `There is no instance ${id}; ensure it with PUT first.`);
      return instance;
    },
    list: () =>
      [...instances.values()].map((instance) => {
        const server = instance.current();
        return {
          id: instance.launch.id,
          digest: instance.launch.digest,
          state: server === undefined ? 'stopped' : 'ready',
          pid: server?.process.pid ?? null,
          isolation: server?.process.isolation ?? null,
          pending: server?.multiplexer.pendingCount() ?? 0,
        };
      }),
    close: async () => {
      isClosed = true;
      await Promise.all([...new Set([...instances.keys(), ...queues.keys()])].map(stopNow));
    },
  };
};
