import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { toPlatformError } from '../../schema/errors.ts';
import { qualifiedName } from '../../schema/ids.ts';
import type { StoredResource } from '../../schema/resource.ts';
import { setCondition } from '../../store/resources.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { toolsOfToolset } from './exposed-tools.ts';
import type { HostClient } from './host-client.ts';
import { isPerRun, launchOf } from './launch-of.ts';
import { isDeclared } from './open-connection.ts';
import type { Upstreams } from './upstreams.ts';

const longestPauseMs = 30_000;
/** How often servers at a URL are looked at again: nobody else tells when they change. */
const secondLookMs = 30_000;
const looksAtOnce = 8;
/** How long looks under way may take to end when discovery is stopped. */
const closeMs = 2000;

type Attempt = { server: StoredResource<'McpServer'>; hasAnswered: boolean; failures: number; nextAt: number; looking?: Promise<void> };

/**
 * Looks once at each declared server, so that its tools are pinned and its condition `Ready` is told; a server that does not answer
 * is tried again, later and later, one at a URL is looked at every half minute. Servers are looked at side by side, so that none waits
 * long for another. A server that mounts folders of runs is looked at with empty ones.
 */
export const createServerDiscovery = ({
  context,
  upstreams,
  host,
}: {
  context: GatewayContext;
  upstreams: Upstreams;
  host: HostClient;
}) => {
  const attempts = new Map<string, Attempt>();
  const underWay = new Set<Promise<void>>();
  const closing = new AbortController();
  let emptyFolder: Promise<string> | undefined;
  let passing: Promise<void> | undefined;

  const probeRun = async (server: StoredResource<'McpServer'>) => {
    if ('url' in server.spec || !isPerRun(server)) return undefined;
    emptyFolder ??= mkdtemp(join(tmpdir(), 'quarterdeck-empty-'));
    const hostPath = await emptyFolder;
    return { runId: 'discovery', volumes: server.spec.volumes.map(({ name }) => ({ name, hostPath, mode: 'rw' as const })) };
  };

  const tell = async (server: StoredResource<'McpServer'>, status: 'True' | 'False', reason: string, message: string): Promise<void> => {
    if (closing.signal.aborted || !isDeclared(context, server)) return;
    const { org, project, name } = server.metadata;
    await setCondition(
      context.database,
      { org, project, kind: 'McpServer', name },
      { type: 'Ready', status, reason, message, observedGeneration: server.generation },
      new Date(context.now()),
    );
  };

  const look = async (attempt: Attempt): Promise<void> => {
    const { server } = attempt;
    const run = await probeRun(server);
    try {
      const { offered, isolation } = await upstreams.connect(server, run, attempt.hasAnswered ? { longestAgeMs: 0 } : {});
      Object.assign(attempt, {
        hasAnswered: true,
        failures: 0,
        nextAt: 'url' in server.spec ? context.now() + secondLookMs : Number.POSITIVE_INFINITY,
      });
      await tell(server, 'True', 'Answers', `${offered.size} tools; isolation tier ${isolation}`);
    } catch (thrown) {
      const error = toPlatformError(thrown);
      attempt.failures += 1;
      attempt.nextAt = context.now() + Math.min(longestPauseMs, 1000 * 2 ** attempt.failures);
      await tell(server, 'False', error.code, error.detail);
    } finally {
      if (run && isPerRun(server)) {
        upstreams.forget(server, run);
        await host.stop(launchOf(server, run).id).catch(() => undefined);
      }
    }
  };

  const tellToolsets = async (): Promise<void> => {
    const declared = context.declared();
    for (const toolset of declared.list('Toolset')) {
      const { org, project, name } = toolset.metadata;
      const exposed = toolsOfToolset(declared, { org, project }, name);
      const waiting = toolset.spec.servers
        .filter((server) => !attempts.get(qualifiedName({ org, project }, server.name))?.hasAnswered)
        .map((server) => server.name);
      const [status, reason, message] = !exposed.ok
        ? (['False', 'Conflict', exposed.detail] as const)
        : waiting.length > 0
          ? (['False', 'WaitingForServers', `waiting for ${waiting.join(', ')}`] as const)
          : (['True', 'Serves', `${exposed.tools.size} tools`] as const);
      await setCondition(
        context.database,
        { org, project, kind: 'Toolset', name },
        { type: 'Ready', status, reason, message, observedGeneration: toolset.generation },
        new Date(context.now()),
      );
    }
  };

  /** What is declared now, each with its attempt; what is not declared any more is forgotten. */
  const renewAttempts = (): void => {
    const declared = new Map(
      context
        .declared()
        .list('McpServer')
        .map((server) => [qualifiedName(server.metadata, server.metadata.name), server]),
    );
    for (const key of attempts.keys()) if (!declared.has(key)) attempts.delete(key);
    for (const [key, server] of declared) {
      const known = attempts.get(key)?.server;
      if (known?.uid !== server.uid || known.generation !== server.generation)
        attempts.set(key, { server, hasAnswered: false, failures: 0, nextAt: 0 });
    }
  };

  const begin = (attempt: Attempt): void => {
    const looking = look(attempt)
      .catch((error) => context.logger.warn({ err: error }, 'a server could not be looked at; trying again'))
      .finally(() => {
        underWay.delete(looking);
        delete attempt.looking;
        void discover();
      });
    attempt.looking = looking;
    underWay.add(looking);
  };

  const pass = async (): Promise<void> => {
    try {
      // not waited for: a server that is slow to stop keeps no other from being looked at
      void upstreams.dropUndeclared();
      renewAttempts();
      const due = [...attempts.values()].filter((attempt) => !attempt.looking && attempt.nextAt <= context.now());
      // the longest waiting first, so that many that never answer do not keep others away
      for (const attempt of due.sort((a, b) => a.nextAt - b.nextAt)) if (underWay.size < looksAtOnce) begin(attempt);
      await tellToolsets();
    } catch (error) {
      context.logger.warn({ err: error }, 'servers could not be looked at; trying again');
    }
  };

  /** Begins looks at what is new or due; calls that come meanwhile are folded into the next. */
  const discover = (): Promise<void> => {
    if (closing.signal.aborted) return Promise.resolve();
    passing ??= pass().finally(() => {
      passing = undefined;
    });
    return passing;
  };

  const timer = setInterval(() => void discover(), 1000);
  timer.unref();

  return {
    discover,
    close: async (): Promise<void> => {
      closing.abort();
      clearInterval(timer);
      await passing;
      // a look at a server that does not answer may take long; it finds everything closed
      await Promise.race([Promise.all(underWay), delay(closeMs, undefined, { ref: false })]);
      if (emptyFolder) await rm(await emptyFolder, { recursive: true, force: true });
    },
  };
};
