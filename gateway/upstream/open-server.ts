import type { ResolvedPath } from '../../schema/server-launch.ts';
import type { UpstreamSessionStore } from '../../store/mcp-upstream-sessions.ts';
import { authOf } from '../credentials/auth-of.ts';
import { createAuthorizedSender } from '../credentials/authorized-sender.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { type Notification, objectAt, type Reply, textOf } from '../mcp/message.ts';
import type { ChangeFeed } from './change-feed.ts';
import { type Greeted, greetServer, type Way } from './greet-server.ts';
import type { HostClient } from './host-client.ts';
import { askableCapabilities } from './initialize-params.ts';
import { createInspection, type Inspection } from './inspection.ts';
import { createLegacyFeed } from './legacy-feed.ts';
import { createModernFeed } from './modern-feed.ts';
import { parameterValues } from './parameter-values.ts';
import { launchAt, type Place } from './place.ts';
import { createHttpSender } from './send-http.ts';
import { createServerSessions } from './server-sessions.ts';
import type { Greeting, SendOptions } from './session.ts';
import { unavailable } from './unavailable.ts';
import type { CallerOfServer, UpstreamRequest } from './upstream.ts';
import { UpstreamLost } from './upstream-lost.ts';
import { wayKnown, wireOf } from './wire-of-place.ts';

/** A server may offer more to a client that can be asked; it is looked at as the most able one sees it. What it asks there is refused. */
const everyCapability = { elicitation: { form: {}, url: {} }, sampling: {}, roots: { listChanged: true } };

/** Requests that rely on a definition: our host makes them of no other process than the one that was compared with the pins. */
const reliant: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read']);
const longestConnectMs = 10_000;

export type ServerEvents = {
  onNotification(notification: Notification): void;
  /** The stream of changes stands again, or broke. */
  onFeed(how: 'again' | 'down'): void;
  /** The server is not of the era that was found out. */
  onContradiction(): void;
};

/** A server that was spoken to, with all sessions on it. */
export type OpenServer = {
  readonly way: Way;
  readonly greeting: Greeting;
  readonly isolation: number;
  readonly inspection: Inspection;
  readonly feed: ChangeFeed;
  readonly resolvePaths?: (paths: string[]) => Promise<ResolvedPath[]>;
  /** Id of the host's instance behind it. */
  readonly instanceId?: string;
  /** Whether anything at all came from the server since then, by `performance.now()`. */
  heardSince(at: number): boolean;
  /** Starts it if it is ours and was stopped, and compares what it offers. @throws {PlatformError} */
  lookAgain(): ReturnType<Inspection['look']>;
  /** @param caller - undefined: the gateway's own session */
  send(caller: CallerOfServer | undefined, request: UpstreamRequest): Promise<Reply>;
  /** Tells the server what concerns this caller alone; nobody where the caller has no session of its own. */
  notify(caller: CallerOfServer, notification: Notification): void;
  sweep(): Promise<void>;
  forgetKey(sessionKey: string): void;
  close(options?: { atServer?: boolean }): Promise<void>;
};

/** What a modern server is to have beside the body, as the tool's schema asks. */
const withHeaders = (request: UpstreamRequest, inspection: Inspection): UpstreamRequest => {
  const tool = request.method === 'tools/call' ? inspection.headersOf(textOf(request.params.name)) : undefined;
  if (!tool) return request;
  const derived = parameterValues(tool, objectAt(request.params, 'arguments'));
  return { ...request, parameterHeaders: { ...request.parameterHeaders, ...derived } };
};

/** A caller that has declared nothing is asked nothing, also where it shares a session that declares more. */
const withoutQuestions = (request: UpstreamRequest, caller: CallerOfServer | undefined): UpstreamRequest => {
  if (!request.onAsk || !caller || Object.keys(askableCapabilities(caller.client.capabilities)).length > 0) return request;
  const { onAsk: _nobody, ...rest } = request;
  return rest;
};

/**
 * Starts a server if it is ours, finds out how it is spoken to, opens the gateway's own session with it, and compares what it offers with
 * its pins. Sessions of callers are opened when they first send something.
 * @param timeoutMs - for greeting and listing together; the host has its own limit for a start
 * @throws {PlatformError} `server_unavailable`, `isolation_unavailable`, `input_invalid`
 */
export const openServer = async ({
  context,
  host,
  place,
  way,
  store,
  timeoutMs,
  events,
}: {
  context: GatewayContext;
  host: HostClient;
  place: Place;
  way: Way | undefined;
  store: UpstreamSessionStore | undefined;
  timeoutMs: number;
  events: ServerEvents;
}): Promise<OpenServer> => {
  const { server, session: alone } = place;
  const launch = launchAt(place);
  const ready = launch && (await host.ensure(launch));
  const until = performance.now() + timeoutMs;
  const origin = launch ? new URL(host.mcpUrl(launch.id)).origin : new URL('url' in server.spec ? server.spec.url : '').origin;
  const plain = createHttpSender(origin, { connectTimeoutMs: Math.min(timeoutMs, longestConnectMs) });
  const sender = authOf(server) ? createAuthorizedSender(plain, context.credentials.of(server, place.principal), { origin }) : plain;
  const wire = wireOf(place, host, launch?.id, sender);
  const known = wayKnown(place, ready?.era) ?? way;
  let inspection: Inspection | undefined;
  let feed: ChangeFeed | undefined;
  const markStale = (): void => inspection?.markStale();

  const open = async (): Promise<{ greeted: Greeted; inspection: Inspection }> => {
    const greeted = await greetServer({
      wire,
      way: known,
      client: alone?.client ?? { capabilities: everyCapability },
      isShared: alone === undefined,
      timeoutMs,
      onNotification: events.onNotification,
      onContradiction: events.onContradiction,
      onForgotten: () => {
        markStale();
        feed?.restart();
      },
    });
    const checksHeaders = greeted.way === 'modern' && launch === undefined;
    inspection = createInspection({ context, server, name: wire.name, ...greeted, checksHeaders, isOfOneSession: alone !== undefined });
    await inspection.look(Math.max(1, until - performance.now()));
    return { greeted, inspection };
  };
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new UpstreamLost(true, undefined, 'deadline')), timeoutMs);
  const opened = await Promise.race([open(), late.promise])
    .catch(async (error: unknown) => {
      await sender.close();
      throw unavailable(wire.name, error);
    })
    .finally(() => clearTimeout(timer));

  const { greeted } = opened;
  const { greeting } = greeted;
  const sessions = createServerSessions({
    context,
    place,
    wire,
    greeted,
    store,
    timeoutMs,
    onContradiction: events.onContradiction,
    markStale,
  });
  const feedParts = {
    capabilities: greeting.capabilities,
    onNotification: events.onNotification,
    onUp: (isAgain: boolean) => {
      if (isAgain) events.onFeed('again');
    },
    onDown: () => events.onFeed('down'),
  };
  const changes = greeted.way === 'modern' ? createModernFeed(wire, greeting, feedParts) : createLegacyFeed(greeted.session, feedParts);
  feed = changes;

  return {
    way: greeted.way,
    greeting,
    isolation: ready?.isolation ?? 0,
    inspection: opened.inspection,
    feed: changes,
    ...(launch ? { resolvePaths: (paths: string[]) => host.resolvePaths(launch.id, paths), instanceId: launch.id } : {}),
    heardSince: (at) => sender.heardAt >= at,
    lookAgain: async () => {
      if (launch) await host.ensure(launch);
      try {
        return await opened.inspection.look(timeoutMs);
      } catch (error) {
        throw unavailable(wire.name, error);
      }
    },
    send: (caller, request) => {
      const options: SendOptions = {
        instance: launch && reliant.has(request.method) ? opened.inspection.instance : undefined,
        logLevel: caller?.logLevel,
        onStray: caller?.onStray,
      };
      const prepared = greeted.way === 'modern' ? withHeaders(request, opened.inspection) : withoutQuestions(request, caller);
      return sessions.of(caller).send(prepared, options);
    },
    notify: (caller, notification) => sessions.ownOf(caller)?.notify(notification),
    sweep: sessions.sweep,
    forgetKey: sessions.forgetKey,
    close: async ({ atServer = true } = {}) => {
      changes.close();
      sessions.close();
      await greeted.session.close({ atServer });
      await sender.close();
    },
  };
};
