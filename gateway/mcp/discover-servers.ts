import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toPlatformError } from '../../schema/errors.ts';
import { qualifiedName } from '../../schema/ids.ts';
import type { StoredResource } from '../../schema/resource.ts';
import { setCondition } from '../../store/resources.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { toolsOfToolset } from './exposed-tools.ts';
import type { HostClient } from './host-client.ts';
import { isPerRun, launchOf } from './launch-of.ts';
import type { Upstreams } from './upstreams.ts';

const longestPauseMs = 30_000;
type Attempt = { generation: number; isDone: boolean; failures: number; nextAt: number };

/**
 * Looks once at each declared server, so that its tools are pinned and its condition `Ready` is told; a server that does not answer
 * is tried again, later and later. A server that mounts folders of runs is looked at with empty ones.
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
  let emptyFolder: string | undefined;
  let looking: Promise<void> | undefined;
  let closed = false;

  const probeRun = async (server: StoredResource<'McpServer'>) => {
    if ('url' in server.spec || !isPerRun(server)) return undefined;
    emptyFolder ??= await mkdtemp(join(tmpdir(), 'quarterdeck-empty-'));
    const hostPath = emptyFolder;
    return { runId: 'discovery', volumes: server.spec.volumes.map(({ name }) => ({ name, hostPath, mode: 'rw' as const })) };
  };

  const conditionOf = (server: StoredResource<'McpServer'>, status: 'True' | 'False', reason: string, message: string) => {
    const { org, project, name } = server.metadata;
    return setCondition(
      context.database,
      { org, project, kind: 'McpServer', name },
      { type: 'Ready', status, reason, message, observedGeneration: server.generation },
      new Date(context.now()),
    );
  };

  const look = async (server: StoredResource<'McpServer'>, attempt: Attempt): Promise<void> => {
    const run = await probeRun(server);
    try {
      const { offered, isolation } = await upstreams.connect(server, run);
      attempt.isDone = true;
      await conditionOf(server, 'True', 'Answers', `${offered.size} tools; isolation tier ${isolation}`);
    } catch (thrown) {
      const error = toPlatformError(thrown);
      attempt.failures += 1;
      attempt.nextAt = context.now() + Math.min(longestPauseMs, 1000 * 2 ** attempt.failures);
      await conditionOf(server, 'False', error.code, error.detail).catch(() => undefined);
      upstreams.forget(server, run);
    } finally {
      if (run) {
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
        .filter((server) => !attempts.get(qualifiedName({ org, project }, server.name))?.isDone)
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

  const lookAround = async (): Promise<void> => {
    try {
      for (const server of context.declared().list('McpServer')) {
        const key = qualifiedName(server.metadata, server.metadata.name);
        let attempt = attempts.get(key);
        if (attempt?.generation !== server.generation) {
          attempt = { generation: server.generation, isDone: false, failures: 0, nextAt: 0 };
          attempts.set(key, attempt);
        }
        if (!attempt.isDone && attempt.nextAt <= context.now() && !closed) await look(server, attempt);
      }
      if (!closed) await tellToolsets();
    } catch (error) {
      context.logger.warn({ err: error }, 'servers could not be looked at; trying again');
    }
  };

  /** Looks at what is new or due; calls that come meanwhile are folded into the next. */
  const discover = (): Promise<void> => {
    if (closed) return Promise.resolve();
    looking ??= lookAround().finally(() => {
      looking = undefined;
    });
    return looking;
  };

  const timer = setInterval(() => void discover(), 1000);
  timer.unref();

  return {
    discover,
    close: async (): Promise<void> => {
      closed = true;
      clearInterval(timer);
      await looking;
      if (emptyFolder) await rm(emptyFolder, { recursive: true, force: true });
    },
  };
};
