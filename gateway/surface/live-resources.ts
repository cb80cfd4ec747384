import type { ArgumentFacts } from '../../policy/argument-facts.ts';
import { uriFacts } from '../../policy/uri-facts.ts';
import { PlatformError } from '../../schema/errors.ts';
import { isPerCaller } from '../credentials/auth-of.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import { isForAll } from '../mcp/launch-of.ts';
import { isObject, type JsonObject, textOf } from '../mcp/message.ts';
import type { CallerOfServer, Connection } from '../upstream/upstream.ts';
import type { McpServer, UpstreamPool } from '../upstream/upstream-pool.ts';
import { callerOf } from './caller-of.ts';
import { resolveFacts } from './resolve-facts.ts';

/** A resource as its server lists it, with what policies see of its URI. */
export type LiveResource = { uri: string; resource: JsonObject; facts: ArgumentFacts };
/** The same object as before where a server lists the same as before, so that what was worked out from it can be kept. */
export type LiveList = { resources: readonly LiveResource[]; isolation: number };
/** `last` is what the server had before it stopped answering. */
export type LiveAnswer = { ok: true; list: LiveList } | { ok: false; last?: LiveList };

const maxPages = 100;
const maxResources = 10_000;
const maxKept = 2000;

type Kept = { text: string; list?: LiveList; answer?: LiveAnswer; until: number; asking?: Promise<LiveAnswer> };

const isResource = (value: unknown): value is JsonObject & { uri: string } =>
  isObject(value) && typeof value.uri === 'string' && value.uri !== '' && typeof value.name === 'string';

/**
 * Resources that servers list at the moment: nothing of them is pinned, as contents come and go. Each server is asked with a deadline of
 * its own, and what it says is kept for a moment. Servers without sessions, and with nothing private to a caller, say the same to all.
 * @param options.timeoutMs - how long one server may take to be reached and for all its pages
 * @param options.startTimeoutMs - how long one of ours may take to be reached: its process may have to be started first, which says
 * nothing about how it answers
 * @param options.freshMs - for how long what it said is not asked again
 */
export const createLiveResources = ({
  context,
  pool,
  timeoutMs = 5000,
  startTimeoutMs = 15_000,
  freshMs = 3000,
}: {
  context: Pick<GatewayContext, 'now' | 'logger'>;
  pool: UpstreamPool;
  timeoutMs?: number;
  startTimeoutMs?: number;
  freshMs?: number;
}) => {
  const kept = new Map<string, Kept>();
  /** Servers whose last list said that it is for one caller alone. */
  const privateServers = new Set<string>();

  const serverKey = ({ uid, generation }: McpServer): string => `${uid}@${generation}`;

  const keyOf = (server: McpServer, caller: CallerOfServer): string => {
    const isShared = pool.factsOf(server)?.era === 'modern' && !privateServers.has(server.uid) && isForAll(server) && !isPerCaller(server);
    return isShared ? serverKey(server) : `${serverKey(server)} ${caller.sessionKey} ${caller.run?.runId ?? ''}`;
  };

  const readPages = async (server: McpServer, connection: Connection, signal: AbortSignal): Promise<JsonObject[]> => {
    const resources: JsonObject[] = [];
    let cursor: unknown;
    for (let page = 0; page < maxPages && resources.length < maxResources; page += 1) {
      const reply = await connection.request({
        method: 'resources/list',
        params: cursor === undefined ? {} : { cursor },
        idleTimeoutMs: timeoutMs,
        totalTimeoutMs: timeoutMs,
        signal,
      });
      if (reply.kind === 'error') throw new PlatformError('server_unavailable', `resources/list: ${reply.error.message}`);
      if (Array.isArray(reply.result.resources)) resources.push(...reply.result.resources.filter(isResource));
      if (reply.result.cacheScope === 'private') privateServers.add(server.uid);
      cursor = reply.result.nextCursor;
      if (typeof cursor !== 'string') break;
    }
    return resources.slice(0, maxResources);
  };

  const read = async (server: McpServer, connection: Connection, entry: Kept, signal: AbortSignal): Promise<LiveAnswer> => {
    const resources = isObject(connection.capabilities.resources) ? await readPages(server, connection, signal) : [];
    const text = JSON.stringify(resources);
    entry.until = context.now() + freshMs;
    if (entry.list && text === entry.text && entry.list.isolation === connection.isolation) return { ok: true, list: entry.list };
    const uris = resources.map(({ uri }) => textOf(uri));
    const facts = await resolveFacts(server, connection, uris.map(uriFacts));
    const live = resources.flatMap((resource, index): LiveResource[] => {
      const known = facts[index];
      return known ? [{ uri: textOf(resource.uri), resource, facts: known }] : [];
    });
    entry.text = text;
    entry.list = { resources: live, isolation: connection.isolation };
    return { ok: true, list: entry.list };
  };

  const ask = async (server: McpServer, caller: CallerOfServer, entry: Kept): Promise<LiveAnswer> => {
    const isOver = new AbortController();
    const late = Promise.withResolvers<never>();
    const within = (ms: number): NodeJS.Timeout =>
      setTimeout(() => late.reject(new PlatformError('server_unavailable', `the list was not there after ${ms} ms`)), ms).unref();
    const isOurs = !('url' in server.spec);
    let deadline = within(isOurs ? startTimeoutMs : timeoutMs);
    const list = async (): Promise<LiveAnswer> => {
      const connection = await pool.connect(server, caller);
      if (isOurs && !isOver.signal.aborted) {
        clearTimeout(deadline);
        deadline = within(timeoutMs);
      }
      return read(server, connection, entry, isOver.signal);
    };
    try {
      return await Promise.race([list(), late.promise]);
    } catch (error) {
      context.logger.debug({ err: error, server: server.metadata.name }, 'the resources of a server could not be listed');
      // not asked again at once by everybody who lists
      entry.until = context.now() + Math.min(freshMs, 1000);
      return { ok: false };
    } finally {
      clearTimeout(deadline);
      isOver.abort();
      delete entry.asking;
    }
  };

  return {
    /** What a server lists for the caller of a request; never throws. */
    of: (server: McpServer, request: Omit<ClientRequest, 'notify' | 'ask'>): Promise<LiveAnswer> => {
      const caller = callerOf(request);
      const key = keyOf(server, caller);
      let entry = kept.get(key);
      if (!entry) {
        const oldest = kept.size >= maxKept ? kept.keys().next().value : undefined;
        if (oldest !== undefined) kept.delete(oldest);
        entry = { text: '', until: 0 };
        kept.set(key, entry);
      }
      if (entry.asking) return entry.asking;
      if (entry.answer && entry.until > context.now()) return Promise.resolve(entry.answer);
      const { list: last } = entry;
      entry.asking = ask(server, caller, entry).then((answer) => {
        entry.answer = answer.ok || !last ? answer : { ok: false, last };
        return entry.answer;
      });
      return entry.asking;
    },
    /** The server says that its list is another now. */
    changed: (server: McpServer): void => {
      for (const [key, entry] of kept) if (key.startsWith(serverKey(server))) entry.until = 0;
    },
  };
};
export type LiveResources = ReturnType<typeof createLiveResources>;
