import { request } from 'undici';
import { z } from 'zod';
import { type ErrorCode, errorKinds, PlatformError } from '../../schema/errors.ts';
import {
  type ReadyInstance,
  ReadyInstanceSchema,
  type ResolvedPath,
  ResolvePathsAnswerSchema,
  type ServerLaunchInput,
} from '../../schema/server-launch.ts';

const InstancesSchema = z.object({ instances: z.array(z.object({ id: z.string() })) });

export type HostClient = ReturnType<typeof createHostClient>;

/** Speaks to the process that runs servers. All errors are the platform's own. */
export const createHostClient = ({
  hostUrl,
  hostKey,
  startTimeoutMs = 30_000,
}: {
  hostUrl: string;
  hostKey: string;
  startTimeoutMs?: number;
}) => {
  const call = async (method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<unknown> => {
    let answer: Awaited<ReturnType<typeof request>>;
    try {
      answer = await request(`${hostUrl}${path}`, {
        method,
        headers: { authorization: `Bearer ${hostKey}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        headersTimeout: startTimeoutMs,
        bodyTimeout: startTimeoutMs,
      });
    } catch (cause) {
      throw new PlatformError(
        'server_unavailable',
        'The process that runs MCP servers does not answer; it is restarted, so try again in a few seconds.',
        { cause },
      );
    }
    const text = await answer.body.text();
    const json = text === '' ? undefined : (JSON.parse(text) as { code?: string; detail?: string });
    if (answer.statusCode < 400) return json;
    const code = json?.code && json.code in errorKinds ? (json.code as ErrorCode) : 'server_unavailable';
    throw new PlatformError(code, json?.detail ?? `The host answered ${answer.statusCode}.`);
  };
  const pathOf = (id: string): string => `/instances/${encodeURIComponent(id)}`;

  return {
    /** Starts an instance, or finds it running as told. */
    ensure: async (launch: ServerLaunchInput): Promise<ReadyInstance> =>
      ReadyInstanceSchema.parse(await call('PUT', pathOf(launch.id), launch)),
    stop: async (id: string): Promise<void> => {
      await call('DELETE', pathOf(id));
    },
    /** Ids of all instances, whoever had them started: `org/project/server`, and what they serve alone. */
    list: async (): Promise<string[]> => InstancesSchema.parse(await call('GET', '/instances')).instances.map(({ id }) => id),
    resolvePaths: async (id: string, paths: string[]): Promise<ResolvedPath[]> =>
      ResolvePathsAnswerSchema.parse(await call('POST', `${pathOf(id)}/resolve-paths`, { paths })).paths,
    mcpUrl: (id: string): string => `${hostUrl}${pathOf(id)}/mcp`,
    headers: { authorization: `Bearer ${hostKey}` },
  };
};
