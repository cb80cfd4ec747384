import { randomBytes } from 'node:crypto';
import { type Dispatcher, request } from 'undici';
import { z } from 'zod';
import type { ChatRequest, ModelReply } from '../agents/chat-request.ts';
import type { ToolDescription } from '../agents/conversation.ts';
import type { JsonObject } from '../agents/json.ts';
import { PlatformError } from '../schema/errors.ts';
import { parseAgentId } from '../schema/ids.ts';
import { traceIdOfRun } from '../schema/trace.ts';
import { httpError } from './http-error.ts';
import { mcpRequest, platformErrorOf, readMcpAnswer } from './mcp-messages.ts';
import { readBody } from './read-body.ts';
import { readChatReply } from './read-chat-reply.ts';
import type { RunTokens } from './run-tokens.ts';
import { readToolResult, type ToolAnswer } from './tool-result.ts';

/** A model may think for long; Temporal's own timeout ends the call before. */
const longestAnswerMs = 15 * 60_000;

const ToolListSchema = z.looseObject({
  tools: z.array(z.looseObject({ name: z.string(), description: z.string().default(''), inputSchema: z.record(z.string(), z.unknown()) })),
  nextCursor: z.string().optional(),
});

/** All calls of a run belong to one trace, which begins with its launch. */
const traceOf = (agentId: string): Record<string, string> => {
  const { runId } = parseAgentId(agentId) ?? {};
  return runId === undefined ? {} : { traceparent: `00-${traceIdOfRun(runId)}-${randomBytes(8).toString('hex')}-01` };
};

export type GatewayClient = ReturnType<typeof createGatewayClient>;
type Caller = { agentId: string; signal: AbortSignal };
type Sent = { statusCode: number; contentType: string; text: string };

/**
 * The way from an agent to models and tools: HTTP to the gateway with a token of that agent, as any client does it.
 * Refusals come back as `PlatformError` with the gateway's code and, in `facts`, its decision id and reason.
 * @param options.gatewayUrl - origin of the gateway, without a slash at the end; audiences begin with it
 */
export const createGatewayClient = ({
  gatewayUrl,
  tokens,
  dispatcher,
}: {
  gatewayUrl: string;
  tokens: RunTokens;
  dispatcher?: Dispatcher;
}) => {
  const toolsetUrl = (agentId: string, toolset: string): string => {
    const { org, project } = parseAgentId(agentId) ?? {};
    if (!org || !project) throw new PlatformError('input_invalid', `${agentId} is no agent id.`);
    return `${gatewayUrl}/mcp/${org}/${project}/${toolset}`;
  };

  const sendOnce = async (url: string, audience: string, caller: Caller, headers: Record<string, string>, body: string): Promise<Sent> => {
    const token = await tokens.tokenFor(caller.agentId, audience, caller.signal);
    const answer = await request(url, {
      method: 'POST',
      headers: { ...headers, ...traceOf(caller.agentId), authorization: `Bearer ${token}` },
      body,
      signal: caller.signal,
      headersTimeout: longestAnswerMs,
      bodyTimeout: longestAnswerMs,
      dispatcher,
    });
    return { statusCode: answer.statusCode, contentType: String(answer.headers['content-type'] ?? ''), text: await readBody(answer.body) };
  };

  /** A token may have been refused because it was old: a new one is tried once. */
  const send: typeof sendOnce = async (url, audience, caller, headers, body) => {
    try {
      const first = await sendOnce(url, audience, caller, headers, body);
      if (first.statusCode !== 401) return first;
      tokens.forget(caller.agentId, audience);
      const second = await sendOnce(url, audience, caller, headers, body);
      if (second.statusCode !== 401) return second;
    } catch (cause) {
      if (cause instanceof PlatformError) throw cause;
      throw new PlatformError('server_unavailable', 'The gateway does not answer; the call is tried again.', { cause });
    }
    throw new PlatformError('token_refused', 'The gateway does not accept the token of the agent.');
  };

  const callMcp = async (
    url: string,
    caller: Caller,
    message: ReturnType<typeof mcpRequest>,
  ): Promise<JsonObject | { refusal: string }> => {
    const { statusCode, contentType, text } = await send(url, url, caller, message.headers, message.body);
    const answer = readMcpAnswer(contentType, text);
    if (answer?.result) return answer.result as JsonObject;
    if (answer?.error) {
      const known = platformErrorOf(answer.error.data, answer.error.message);
      if (known) throw known;
      // an error of the server itself: the model may read it and do something else
      return { refusal: answer.error.message };
    }
    throw httpError(statusCode, text);
  };

  return {
    /** @throws {PlatformError} what the gateway refuses with; `server_unavailable` and the like are retryable */
    listTools: async (caller: Caller, toolset: string): Promise<ToolDescription[]> => {
      const url = toolsetUrl(caller.agentId, toolset);
      const found: ToolDescription[] = [];
      let cursor: string | undefined;
      do {
        const result = await callMcp(url, caller, mcpRequest('tools/list', cursor === undefined ? {} : { cursor }));
        const page = ToolListSchema.safeParse(result);
        if (!page.success) throw new PlatformError('server_unavailable', `The toolset ${toolset} cannot be listed at the moment.`);
        for (const { name, description, inputSchema } of page.data.tools)
          found.push({ name, description, inputSchema: inputSchema as JsonObject });
        cursor = page.data.nextCursor;
      } while (cursor !== undefined);
      return found;
    },

    /** A tool that failed by itself is an answer with `failed`; a refusal of the gateway is thrown. */
    callTool: async (
      caller: Caller,
      call: { toolset: string; tool: string; arguments: JsonObject; operationId: string },
    ): Promise<ToolAnswer> => {
      const message = mcpRequest('tools/call', { name: call.tool, arguments: call.arguments }, call.operationId);
      const result = await callMcp(toolsetUrl(caller.agentId, call.toolset), caller, message);
      return 'refusal' in result ? { failed: true, text: String(result.refusal) } : readToolResult(result);
    },

    /** Asks the model for one answer, not streamed. */
    complete: async (caller: Caller, chat: ChatRequest, operationId: string): Promise<ModelReply> => {
      const headers = { 'content-type': 'application/json', accept: 'application/json', 'idempotency-key': operationId };
      const { statusCode, text } = await send(
        `${gatewayUrl}/v1/chat/completions`,
        `${gatewayUrl}/v1`,
        caller,
        headers,
        JSON.stringify(chat),
      );
      if (statusCode !== 200) throw httpError(statusCode, text);
      return readChatReply(text);
    },
  };
};
