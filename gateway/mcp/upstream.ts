import {
  type CallToolResult,
  Client,
  ProtocolError,
  SdkError,
  SdkErrorCode,
  StreamableHTTPClientTransport,
  type Tool,
} from '@modelcontextprotocol/client';
import { PlatformError } from '../../schema/errors.ts';
import { instanceHeader } from '../../schema/host-headers.ts';
import { operationIdMeta } from '../../schema/workflow-contract.ts';
import { createExchanges, type Exchange, ResultTooLarge, UpstreamLost } from './upstream-exchange.ts';

export type UpstreamOutcome = { kind: 'result'; result: CallToolResult } | { kind: 'rpc-error'; code: number; message: string };
export type UpstreamCall = {
  name: string;
  arguments: Record<string, unknown>;
  operationId: string;
  timeoutMs: number;
  signal: AbortSignal;
};
export type Upstream = Awaited<ReturnType<typeof connectUpstream>>;

const maxPages = 100;
const maxTools = 10_000;
const internalError = -32603;
const refusedCodes = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH', 'UND_ERR_CONNECT_TIMEOUT']);

const wasNeverSent = (error: unknown): boolean => {
  for (let link: unknown = error; typeof link === 'object' && link !== null; link = (link as { cause?: unknown }).cause)
    if (refusedCodes.has((link as { code?: string }).code ?? '')) return true;
  return false;
};

const onceAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });

/**
 * Opens a connection as an MCP client of either era; no capability is declared, so a server can ask nothing of us.
 * @throws {PlatformError} `server_unavailable`
 */
export const connectUpstream = async ({
  name,
  url,
  headers,
  isOurHost,
  deadline,
  onToolsChanged,
}: {
  /** As people know the server. */
  name: string;
  url: string;
  headers: Record<string, string>;
  isOurHost: boolean;
  /** Gives up on a server that does not answer. */
  deadline: AbortSignal;
  /** Told when the server says that it offers other tools. */
  onToolsChanged: () => void;
}) => {
  const exchanges = createExchanges({ isOurHost });
  const client = new Client(
    { name: 'quarterdeck-gateway', version: '0.1.0' },
    {
      capabilities: {},
      versionNegotiation: { mode: 'auto' },
      // an answer that asks for more would be answered by sending the call once more
      inputRequired: { autoFulfill: false },
      listChanged: { tools: { autoRefresh: false, debounceMs: 0, onChanged: onToolsChanged } },
    },
  );
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers }, fetch: exchanges.fetch });
  const unavailable = (what: string, cause?: unknown) =>
    new PlatformError('server_unavailable', `The MCP server ${name} ${what}`, { cause });
  let isClosed = false;
  let instance: string | undefined;

  try {
    await Promise.race([exchanges.run(({ signal }) => client.connect(transport, { signal })), onceAborted(deadline)]);
  } catch (cause) {
    await client.close().catch(() => undefined);
    throw unavailable('does not answer its first request; it may still be starting, or stand elsewhere.', cause);
  }

  const listPages = async (exchange: Exchange, signal: AbortSignal): Promise<Tool[]> => {
    const tools: Tool[] = [];
    const cursors = new Set<string>();
    let cursor: string | undefined;
    for (let pages = 1; pages <= maxPages && tools.length <= maxTools; pages += 1) {
      const params = cursor === undefined ? {} : { cursor };
      const page = await client.request({ method: 'tools/list', params }, { signal: AbortSignal.any([signal, exchange.signal]) });
      // how things stood at the first page: any change after that is found by the host when a call comes
      if (pages === 1) instance = exchange.instance;
      tools.push(...page.tools);
      cursor = page.nextCursor;
      if (cursor === undefined) return tools;
      if (cursors.has(cursor)) throw unavailable('lists its tools in a circle.');
      cursors.add(cursor);
    }
    throw unavailable(`lists its tools without end: more than ${maxPages} pages or ${maxTools} tools.`);
  };

  return {
    /** All tools that it offers. @throws {PlatformError} `server_unavailable`, also when it does not come to an end */
    listTools: (signal: AbortSignal): Promise<Tool[]> =>
      exchanges
        .run((exchange) => listPages(exchange, signal))
        .catch((cause: unknown) => {
          throw cause instanceof PlatformError ? cause : unavailable('does not list its tools.', cause);
        }),
    /** @throws {UpstreamLost} when no answer came, {ResultTooLarge} when it ran and too long an answer came */
    callTool: async ({
      name,
      arguments: argumentsOfCall,
      operationId,
      timeoutMs,
      signal: callerSignal,
    }: UpstreamCall): Promise<UpstreamOutcome> => {
      if (isClosed || callerSignal.aborted) throw new UpstreamLost(false);
      let exchange: Exchange | undefined;
      try {
        const result = await exchanges.run((running) => {
          exchange = running;
          return client.request(
            { method: 'tools/call', params: { name, arguments: argumentsOfCall, _meta: { [operationIdMeta]: operationId } } },
            {
              timeout: timeoutMs,
              maxTotalTimeout: timeoutMs,
              signal: AbortSignal.any([callerSignal, running.signal]),
              ...(instance === undefined ? {} : { headers: { [instanceHeader]: instance } }),
            },
          );
        });
        return { kind: 'result', result: result as CallToolResult };
      } catch (error) {
        if (error instanceof UpstreamLost || error instanceof ResultTooLarge) throw error;
        if (ProtocolError.isInstance(error)) return { kind: 'rpc-error', code: error.code, message: error.message };
        if (SdkError.isInstance(error) && error.code === SdkErrorCode.UnsupportedResultType)
          return { kind: 'rpc-error', code: internalError, message: 'The server asks for more input in the middle of a call.' };
        throw new UpstreamLost(exchange?.hasAnswer === true || !wasNeverSent(error), error);
      }
    },
    close: async (): Promise<void> => {
      isClosed = true;
      await client.close().catch(() => undefined);
    },
  };
};
