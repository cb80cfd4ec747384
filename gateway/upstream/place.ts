import { createHash } from 'node:crypto';
import type { Haltable } from '../../policy/halt-index.ts';
import { qualifiedName } from '../../schema/ids.ts';
import type { ServerLaunchInput } from '../../schema/server-launch.ts';
import { isPerCaller } from '../credentials/auth-of.ts';
import type { ClientFacts } from '../mcp/client-request.ts';
import { isForAll, isPerRun, isPerSession, launchOf, type RunOfServer } from '../mcp/launch-of.ts';
import { askableCapabilities } from './initialize-params.ts';
import type { CallerOfServer } from './upstream.ts';
import type { McpServer } from './upstream-pool.ts';

/** A server as some callers share it: all of them, those of one run, or those of one session key. */
export type Place = {
  key: string;
  server: McpServer;
  run?: RunOfServer;
  /** Whose credential goes along, where each caller has one of their own; absent for the platform itself. */
  principal?: string;
  /** Whom a process serves alone. */
  session?: { key: string; client: Pick<ClientFacts, 'info' | 'capabilities'> };
};

/** The session in which the gateway itself looks at a server whose processes serve one session each. */
const ownSession = 'look';

/** Names a session where it shows: in process lists and logs. */
const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 24);

/** Places that all callers of a server share: they are asked for with every call. */
const shared = new WeakMap<McpServer, Place>();

export const placeOf = (
  server: McpServer,
  caller: Pick<CallerOfServer, 'run' | 'principal' | 'sessionKey' | 'client'> | { run?: RunOfServer },
): Place => {
  const known = shared.get(server);
  if (known) return known;
  if (isPerCaller(server)) {
    const key = qualifiedName(server.metadata, server.metadata.name);
    const principal = 'principal' in caller ? caller.principal : undefined;
    return principal === undefined ? { key: `${key}/service`, server } : { key: `${key}\n${principal}`, server, principal };
  }
  const run = isPerRun(server) ? caller.run : undefined;
  const base = `${qualifiedName(server.metadata, server.metadata.name)}${run ? `/${run.runId}` : ''}`;
  const place: Place = { key: base, server, ...(run ? { run } : {}) };
  if (isForAll(server)) shared.set(server, place);
  if (!isPerSession(server) || !('sessionKey' in caller)) return place;
  const { info } = caller.client;
  const capabilities = askableCapabilities(caller.client.capabilities);
  const key = `${caller.sessionKey}\n${JSON.stringify(capabilities)}`;
  return { ...place, key: `${base}\n${key}`, session: { key: caller.sessionKey, client: { ...(info ? { info } : {}), capabilities } } };
};

/** What of a place can be halted: its server, and the run or the agent that it serves alone. */
export const haltableAt = ({ server: { metadata }, run, session }: Place): Haltable => {
  const { org, project, name: server } = metadata;
  const [kind, id] = session?.key.split(/:(.*)/s) ?? [];
  return {
    org,
    project,
    server,
    ...(run ? { run: run.runId, fleet: run.fleet } : {}),
    ...(kind === 'agent' && id !== undefined ? { agent: id } : {}),
    ...(kind === 'person' && id !== undefined ? { person: id.slice(org.length + 1) } : {}),
  };
};

/** What of an instance can be halted, as far as its id says it: `org/project/server`, and the run that it serves alone. */
export const haltableInstance = (id: string): Haltable => {
  const [org = '', project = '', server, run] = id.split('/');
  return { org, project, server, ...(run?.startsWith('run_') ? { run } : {}) };
};

/**
 * What the host runs for a place; undefined for a server by URL.
 * @throws {PlatformError} `input_invalid`
 */
export const launchAt = ({ key, server, run, session }: Place): ServerLaunchInput | undefined =>
  'url' in server.spec ? undefined : launchOf(server, run, session ? hashOf(key) : isPerSession(server) ? ownSession : undefined);
