import { PlatformError } from '../../schema/errors.ts';
import type { ReadyInstance, ServerLaunch } from '../../schema/server-launch.ts';
import { describeReady } from './describe-ready.ts';
import { createServerInstance, type InstanceParts, type ServerInstance } from './server-instance.ts';

/** An instance that serves one session is stopped after so long without a request, unless its launch says otherwise. */
const sessionIdleMs = 600_000;
/** A session that nobody uses is forgotten after so long, or with its instance if that is later. */
const sessionUnusedMs = 600_000;
const sweepIntervalMs = 1_000;

/** How many instances there may be at once: in all, and of one server for single sessions. */
export type InstanceLimits = { instances: number; sessionsPerServer: number };

const serverOf = (id: string): string => id.split('/', 3).join('/');

const idleLimitOf = ({ instance, idleSeconds }: ServerLaunch): number =>
  idleSeconds !== undefined ? idleSeconds * 1_000 : instance === 'session' ? sessionIdleMs : Number.POSITIVE_INFINITY;

/** Every instance of this host, by its id. */
export type InstanceTable = {
  /**
   * Starts the instance, or finds it running; another digest replaces it. Calls for one id happen one after the other.
   * @throws {PlatformError} `capacity_reached`, `server_unavailable`, `isolation_unavailable`, `input_invalid`
   */
  ensure(launch: ServerLaunch): Promise<ReadyInstance>;
  /** @throws {PlatformError} `not_found` */
  get(id: string): ServerInstance;
  /** Stops and forgets an instance; one that is not there is fine. */
  remove(id: string): Promise<void>;
  list(): { id: string; digest: string; state: 'ready' | 'stopped'; pid: number | null; isolation: 0 | 1 | null; pending: number }[];
  close(): Promise<void>;
};

export const createInstanceTable = (parts: InstanceParts, limits: InstanceLimits): InstanceTable => {
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

  /** Says no while there is no room: more processes than the machine can hold would harm those that run. */
  const admit = ({ id, instance }: ServerLaunch): void => {
    const full = (text: string) =>
      new PlatformError('capacity_reached', `${id}: ${text} Try again when others have ended.`, { facts: { sent: false } });
    if (instances.size >= limits.instances) throw full(`this host runs ${limits.instances} servers already, as many as it may.`);
    if (instance !== 'session') return;
    const siblings = [...instances.values()].filter(({ launch }) => launch.instance === 'session' && serverOf(launch.id) === serverOf(id));
    if (siblings.length >= limits.sessionsPerServer)
      throw full(`the server has ${limits.sessionsPerServer} processes for single sessions already, as many as it may.`);
  };

  const ensure = async (launch: ServerLaunch): Promise<ReadyInstance> => {
    if (isClosed) throw new PlatformError('server_unavailable', 'The host is shutting down.', { facts: { sent: false } });
    if (instances.get(launch.id)?.launch.digest !== launch.digest) {
      await remove(launch.id);
      admit(launch);
      instances.set(launch.id, createServerInstance(launch, parts));
    }
    const instance = instances.get(launch.id);
    if (instance === undefined) throw new PlatformError('not_found', `There is no instance ${launch.id}.`);
    instance.touch();
    return describeReady(await instance.ready());
  };

  /** Stops what nobody has used for too long: its client, or the gateway that it was started for, is gone without a word. */
  const sweep = (): void => {
    for (const [id, instance] of instances) {
      const limitMs = idleLimitOf(instance.launch);
      instance.clients.sessions.forgetUnused(instance.launch.instance === 'session' ? Math.max(limitMs, sessionUnusedMs) : sessionUnusedMs);
      if (instance.idleMs() >= limitMs)
        void inTurn(id, async () => {
          if (instances.get(id) === instance && instance.idleMs() >= limitMs) await remove(id);
        });
    }
  };
  const timer = setInterval(sweep, sweepIntervalMs);
  timer.unref();

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
      clearInterval(timer);
      await Promise.all([...new Set([...instances.keys(), ...queues.keys()])].map(stopNow));
    },
  };
};
