import { PlatformError } from '../../schema/errors.ts';
import { metaKeys } from '../../schema/mcp-revisions.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import { isObject, type JsonObject, type Notification, type Reply } from '../mcp/message.ts';
import type { ListKind } from '../surface/surface.ts';
import { RpcRefusal } from './error-reply.ts';
import type { SurfaceOfExchange } from './exchange.ts';
import { declaresTasks, missingTasks } from './missing-capabilities.ts';
import type { Subscription } from './subscribe-resource.ts';

/** How much one stream may subscribe to. */
const maxSubscriptions = 1000;

const listFlags = { toolsListChanged: 'tools', promptsListChanged: 'prompts', resourcesListChanged: 'resources' } as const satisfies Record<
  string,
  ListKind
>;

type Filter = { lists: ListKind[]; uris: string[] | undefined; taskIds: string[] | undefined };
export type ListenParts = SurfaceOfExchange & {
  subscribe(request: ClientRequest, uri: string, onUpdate: (uri: string) => void): Promise<Subscription>;
  /** What there is to tell of a task of this caller; undefined where it has none of this id. */
  taskOf(request: ClientRequest, id: string): Promise<JsonObject | undefined>;
  watchTask(id: string, onChange: () => void): () => void;
  /** Calls back when standing streams are to end, unless the returned function was called. */
  onDrain(end: () => void): () => void;
};

const texts = (value: unknown, name: string): string[] | undefined => {
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || !value.every((each) => typeof each === 'string'))
    throw new PlatformError('request_invalid', `Invalid params: \`notifications.${name}\` is no list of strings.`);
  if (value.length > maxSubscriptions)
    throw new PlatformError('request_invalid', `Invalid params: \`notifications.${name}\` has more than ${maxSubscriptions} entries.`);
  return [...new Set(value)];
};

const readFilter = ({ params, client }: ClientRequest): Filter => {
  const { notifications } = params;
  if (!isObject(notifications)) throw new PlatformError('request_invalid', 'Invalid params: `notifications` is missing or no object.');
  const lists = Object.entries(listFlags).flatMap(([flag, kind]) => (notifications[flag] === true ? [kind] : []));
  const taskIds = texts(notifications.taskIds, 'taskIds');
  if (taskIds && !declaresTasks(client.capabilities)) throw new RpcRefusal(missingTasks());
  return { lists, uris: texts(notifications.resourceSubscriptions, 'resourceSubscriptions'), taskIds };
};

/** Sends events one after the other, each at most once while it waits: a slow reader hears that something changed, not how often. */
const createTeller = (notify: ClientRequest['notify'], meta: JsonObject) => {
  const waiting = new Map<string, () => Notification | Promise<Notification | undefined>>();
  let isOpen = false;
  let isTelling = false;
  const tell = async (): Promise<void> => {
    if (!isOpen || isTelling) return;
    isTelling = true;
    try {
      for (const [key, event] of waiting) {
        waiting.delete(key);
        const notification = await event();
        if (notification) await notify({ method: notification.method, params: { ...notification.params, _meta: meta } });
      }
    } finally {
      isTelling = false;
    }
  };
  return {
    /** @param event - made when it is its turn */
    add: (key: string, event: () => Notification | Promise<Notification | undefined>): void => {
      waiting.set(key, event);
      // who can no longer be told has left, and the stream with it
      void tell().catch(() => undefined);
    },
    open: async (notification: Notification): Promise<void> => {
      await notify({ method: notification.method, params: { _meta: meta, ...notification.params } });
      isOpen = true;
      void tell().catch(() => undefined);
    },
  };
};

/**
 * Serves `subscriptions/listen`: says first what was accepted, then tells what changes, until the client leaves or the gateway stops.
 * @throws {PlatformError} `request_invalid`, {RpcRefusal} for tasks of a client that knows none
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/subscriptions
 */
export const listen = async (parts: ListenParts, request: ClientRequest): Promise<Reply> => {
  const filter = readFilter(request);
  const meta = request.id === undefined ? {} : { [metaKeys.subscriptionId]: request.id };
  const teller = createTeller(request.notify, meta);
  const stops: (() => void)[] = [];
  const tasks: (() => void)[] = [];
  const accepted: JsonObject = {};
  let isOver = false;
  try {
    const offered = parts.listsOf(request.principal, request.endpoint);
    const lists = filter.lists.filter((kind) => offered.includes(kind));
    for (const [flag, kind] of Object.entries(listFlags)) if (lists.includes(kind)) accepted[flag] = true;
    if (lists.length > 0)
      stops.push(
        parts.watchLists(request.principal, request.endpoint, (kind) => {
          if (lists.includes(kind)) teller.add(`list ${kind}`, () => ({ method: `notifications/${kind}/list_changed` }));
        }),
      );
    if (filter.uris) {
      const taken = await Promise.all(
        filter.uris.map(async (uri) => {
          const subscription = await parts.subscribe(request, uri, (changed) =>
            teller.add(`resource ${changed}`, () => ({ method: 'notifications/resources/updated', params: { uri: changed } })),
          );
          // another one may have failed meanwhile, and with it the whole
          if (subscription.kind === 'taken' && isOver) subscription.stop();
          else if (subscription.kind === 'taken') stops.push(subscription.stop);
          return subscription.kind === 'taken' ? [uri] : [];
        }),
      );
      accepted.resourceSubscriptions = taken.flat();
    }
    if (filter.taskIds) {
      const known = await Promise.all(filter.taskIds.map(async (id) => ((await parts.taskOf(request, id)) ? [id] : [])));
      accepted.taskIds = known.flat();
      for (const id of known.flat()) {
        const tellTask = (): void =>
          teller.add(`task ${id}`, async () => {
            const params = await parts.taskOf(request, id);
            return params && { method: 'notifications/tasks', params };
          });
        stops.push(parts.watchTask(id, tellTask));
        tasks.push(tellTask);
      }
    }
    await teller.open({ method: 'notifications/subscriptions/acknowledged', params: { notifications: accepted } });
    // how it stands may have changed before anybody listened
    for (const tellTask of tasks) tellTask();
    await new Promise<void>((resolve) => {
      if (request.signal.aborted) return resolve();
      request.signal.addEventListener('abort', () => resolve(), { once: true });
      stops.push(parts.onDrain(resolve));
    });
  } finally {
    isOver = true;
    for (const stop of stops) stop();
  }
  return { kind: 'result', result: { _meta: meta } };
};
