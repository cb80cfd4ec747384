import { setTimeout as delay } from 'node:timers/promises';
import { isPlatformError } from '../../schema/errors.ts';
import { parseExactly } from '../../schema/exact-json.ts';
import type { McpAnswerStore } from '../../store/mcp-answers.ts';
import type { McpBusMessage } from '../../store/mcp-bus.ts';
import type { McpTask, McpTaskOwner, McpTaskStore } from '../../store/mcp-tasks.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import type { JsonObject } from '../mcp/message.ts';
import { principalName } from '../principal.ts';
import { StandingCall, type StandingTiming } from './standing-call.ts';

/** How long a task can be asked for, from its creation on, and from its end on at least. */
const lifetimeMs = 2 * 60 * 60_000;
const keptMs = 10 * 60_000;
/** Answers and cancellations that came to another replica are looked for this often, should its word be lost. */
const lookMs = 1000;
const retryMs = 200;
/** Ten minutes: longer than any restart of the database. */
const writeAttempts = 3000;
/** Key under which a replica leaves that the client takes the call back; no question has it. */
const cancelKey = 'cancel';

export type StandingLimits = { perPrincipal: number; total: number };
export type StandingCalls = ReturnType<typeof createStandingCalls>;
type TaskMessage = Extract<McpBusMessage, { kind: 'task' }>;

export const ownerOf = ({ principal, endpoint }: Pick<ClientRequest, 'principal' | 'endpoint'>): McpTaskOwner => ({
  principal: principalName(principal),
  endpoint: endpoint.path,
});

/**
 * The calls of this replica that may outlive their requests. What stands is written down at each change, so that any replica can
 * say how it is; what a client says to another replica comes through the database.
 */
export const createStandingCalls = ({
  gateway: { logger, now },
  store,
  answers,
  tell,
  timing,
  limits,
}: {
  gateway: Pick<GatewayContext, 'logger' | 'now'>;
  store: McpTaskStore;
  answers: McpAnswerStore;
  /** Tells the other replicas. */
  tell: (message: TaskMessage) => void;
  timing: StandingTiming;
  limits: StandingLimits;
}) => {
  type Entry = { call: StandingCall; principal: string; ttlMs: number; updatedAt: Date; isStale: boolean; writing?: Promise<void> };
  const entries = new Map<string, Entry>();
  const perPrincipal = new Map<string, number>();
  const watchers = new Map<string, Set<() => void>>();
  let isClosing = false;

  const changed = (id: string): void => {
    for (const watcher of watchers.get(id) ?? []) watcher();
  };
  const rowOf = ({ call, ttlMs, updatedAt }: Entry) => {
    const { id, status, content, createdAt, standing } = call;
    return { id, status, content, createdAt, ttlMs, updatedAt, operationId: standing.operation?.id ?? null };
  };

  const updateOnce = async (entry: Entry): Promise<void> => {
    for (let attempt = 1; ; attempt += 1) {
      entry.isStale = false;
      try {
        return await store.update(rowOf(entry));
      } catch (error) {
        if (!isPlatformError(error) || error.code !== 'store_unavailable' || attempt >= writeAttempts) throw error;
        await delay(retryMs);
      }
    }
  };

  const forget = (entry: Entry): void => {
    if (!entries.delete(entry.call.id)) return;
    const count = (perPrincipal.get(entry.principal) ?? 1) - 1;
    if (count > 0) perPrincipal.set(entry.principal, count);
    else perPrincipal.delete(entry.principal);
  };

  const write = (entry: Entry): Promise<void> => {
    entry.isStale = true;
    entry.updatedAt = new Date(now());
    if (entry.call.hasEnded) entry.ttlMs = Math.max(entry.ttlMs, entry.updatedAt.getTime() - entry.call.createdAt.getTime() + keptMs);
    entry.writing ??= (async () => {
      try {
        while (entry.isStale) await updateOnce(entry);
      } catch (error) {
        logger.error({ err: error, task: entry.call.id }, 'what became of a task could not be written down');
      }
      delete entry.writing;
      if (entry.call.hasEnded) forget(entry);
      changed(entry.call.id);
      tell({ kind: 'task', id: entry.call.id, what: 'changed' });
    })();
    return entry.writing;
  };

  /** Writes a call down for the first time; what stands already is only waited for. */
  const stand = async (call: StandingCall): Promise<boolean> => {
    const known = entries.get(call.id);
    if (known) {
      await known.writing;
      return true;
    }
    const { principal } = ownerOf(call.owner);
    const count = perPrincipal.get(principal) ?? 0;
    if (isClosing || count >= limits.perPrincipal || entries.size >= limits.total) return false;
    const entry: Entry = { call, principal, ttlMs: lifetimeMs, updatedAt: call.createdAt, isStale: false };
    entries.set(call.id, entry);
    perPrincipal.set(principal, count + 1);
    call.isStanding = true;
    const { org, project } = call.standing.operation ?? { org: call.owner.principal.org, project: 'default' };
    const isStored = await store.insert({ ...rowOf(entry), ...ownerOf(call.owner), org, project }).catch((error: unknown) => {
      logger.warn({ err: error }, 'a call could not be written down, so its client has to wait for it');
      return false;
    });
    if (!isStored) {
      call.isStanding = false;
      forget(entry);
      return false;
    }
    call.onChange = () => void write(entry);
    if (call.hasEnded) await write(entry);
    return true;
  };

  const look = async (calls: readonly StandingCall[]): Promise<void> => {
    const places = new Map<string, { call: StandingCall; key: string }>();
    for (const call of calls) for (const key of [cancelKey, ...call.openKeys]) places.set(`${call.id}/${key}`, { call, key });
    if (places.size === 0) return;
    for (const [place, text] of await answers.take([...places.keys()])) {
      const { call, key } = places.get(place) ?? {};
      if (key === cancelKey) call?.cancel();
      else if (key !== undefined) call?.answer({ [key]: parseExactly(text) });
    }
  };
  const lookFor = (calls: readonly StandingCall[]): void => {
    look(calls).catch((error) => logger.warn({ err: error }, 'answers of clients could not be read; trying again'));
  };
  const timer = setInterval(() => lookFor([...entries.values()].map(({ call }) => call)), lookMs);
  timer.unref();

  const isOwned = (call: StandingCall, owner: McpTaskOwner): boolean => {
    const own = ownerOf(call.owner);
    return own.principal === owner.principal && own.endpoint === owner.endpoint;
  };

  return {
    begin: (request: ClientRequest): StandingCall => new StandingCall(request, now(), timing, stand),

    /** A call that this replica runs; undefined also for somebody else's. */
    find: (id: string, owner: McpTaskOwner): StandingCall | undefined => {
      const call = entries.get(id)?.call;
      return call && isOwned(call, owner) ? call : undefined;
    },

    /** How a call of this replica stands, newer than the database knows it. */
    snapshot: (call: StandingCall): Pick<McpTask, 'id' | 'status' | 'content' | 'createdAt' | 'updatedAt' | 'ttlMs'> | undefined => {
      const entry = entries.get(call.id);
      return entry && rowOf(entry);
    },

    /** Leaves answers for the replica that runs a call. */
    leaveAnswers: async (id: string, inputResponses: JsonObject): Promise<void> => {
      for (const [key, value] of Object.entries(inputResponses)) await answers.leave(`${id}/${key}`, JSON.stringify(value));
      tell({ kind: 'task', id, what: 'answered' });
    },
    leaveCancel: async (id: string): Promise<void> => {
      await answers.leave(`${id}/${cancelKey}`, '{}');
      tell({ kind: 'task', id, what: 'cancelled' });
    },

    /** Calls back at each change of a task, wherever it runs, until the returned function is called. */
    watch: (id: string, onChange: () => void): (() => void) => {
      const ofId = watchers.get(id) ?? new Set();
      watchers.set(id, ofId.add(onChange));
      return () => {
        if (ofId.delete(onChange) && ofId.size === 0) watchers.delete(id);
      };
    },

    /** What another replica says. */
    heard: ({ id, what }: TaskMessage): void => {
      const call = entries.get(id)?.call;
      if (what === 'changed') changed(id);
      else if (call) lookFor([call]);
    },

    /** Lets calls end for so long, then gives up the rest; no other call stands from now on. */
    close: async (graceMs: number): Promise<void> => {
      isClosing = true;
      const until = performance.now() + graceMs;
      while (entries.size > 0 && performance.now() < until) await delay(20);
      for (const { call } of entries.values()) call.stop();
      const last = performance.now() + 1000;
      while (entries.size > 0 && performance.now() < last) await delay(20);
      clearInterval(timer);
    },
  };
};
