import {
  type CallToolResult,
  Client,
  ProtocolError,
  SdkHttpError,
  StreamableHTTPClientTransport,
  type Tool,
} from '@modelcontextprotocol/client';
import { PlatformError } from '../../schema/errors.ts';
import { operationIdMeta } from '../../schema/workflow-contract.ts';

export type UpstreamOutcome = { kind: 'result'; result: CallToolResult } | { kind: 'rpc-error'; code: number; message: string };
export type UpstreamCall = {
  name: string;
  arguments: Record<string, unknown>;
  operationId: string;
  timeoutMs: number;
  signal: AbortSignal;
};

/** A call that ended without an answer. `wasSent: false` is only said when it is certain. */
export class UpstreamLost extends Error {
  readonly wasSent: boolean;
  constructor(wasSent: boolean, cause: unknown) {
    super('the server gave no answer', { cause });
    this.wasSent = wasSent;
  }
}

export type Upstream = Awaited<ReturnType<typeof connectUpstream>>;

const refusedCodes = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH', 'UND_ERR_CONNECT_TIMEOUT']);

const wasNeverSent = (error: unknown): boolean => {
  for (let link: unknown = error; typeof link === 'object' && link !== null; link = (link as { cause?: unknown }).cause)
    if (refusedCodes.has((link as { code?: string }).code ?? '')) return true;
  return false;
};

/** What our own host says of a request that failed on the way: whether the server had been given it. A foreign server is not believed. */
const lostAtHost = (error: unknown): UpstreamLost | undefined => {
  if (ProtocolError.isInstance(error) && typeof error.data === 'object' && error.data !== null && 'sent' in error.data)
    return new UpstreamLost(error.data.sent !== false, error);
  if (SdkHttpError.isInstance(error) && error.status === 404) return new UpstreamLost(false, error);
  return undefined;
};

/** Opens a connection as an MCP client of either era; no capability is declared, so a server can ask nothing of us. */
export const connectUpstream = async ({
  name,
  url,
  headers,
  timeoutMs,
  isOurHost,
}: {
  /** As people know the server. */
  name: string;
  url: string;
  headers: Record<string, string>;
  timeoutMs: number;
  isOurHost: boolean;
}) => {
  const client = new Client({ name: 'quarterdeck-gateway', version: '0.1.0' }, { capabilities: {}, versionNegotiation: { mode: 'auto' } });
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
  try {
    await client.connect(transport, { timeout: timeoutMs });
  } catch (cause) {
    await client.close().catch(() => undefined);
    throw new PlatformError(
      'server_unavailable',
      `The MCP server ${name} does not answer its first request; it may still be starting, or stand elsewhere.`,
      { cause },
    );
  }

  return {
    listTools: async (): Promise<Tool[]> => {
      const tools: Tool[] = [];
      let cursor: string | undefined;
      do {
        const page = await client.request({ method: 'tools/list', params: cursor ? { cursor } : {} }, { timeout: timeoutMs });
        tools.push(...page.tools);
        cursor = page.nextCursor;
      } while (cursor !== undefined && tools.length < 10_000);
      return tools;
    },
    /** @throws {UpstreamLost} when no answer came */
    callTool: async ({
      name,
      arguments: argumentsOfCall,
      operationId,
      timeoutMs: callTimeoutMs,
      signal,
    }: UpstreamCall): Promise<UpstreamOutcome> => {
      try {
        const result = await client.request(
          { method: 'tools/call', params: { name, arguments: argumentsOfCall, _meta: { [operationIdMeta]: operationId } } },
          { timeout: callTimeoutMs, maxTotalTimeout: callTimeoutMs, signal },
        );
        return { kind: 'result', result: result as CallToolResult };
      } catch (error) {
        const lost = isOurHost ? lostAtHost(error) : undefined;
        if (lost) throw lost;
        if (ProtocolError.isInstance(error)) return { kind: 'rpc-error', code: error.code, message: error.message };
        throw new UpstreamLost(!wasNeverSent(error), error);
      }
    },
    close: () => client.close().catch(() => undefined),
  };
};
