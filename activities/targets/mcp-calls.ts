import type { JsonObject } from '../../agents/json.ts';

type Caller = { agentId: string; signal: AbortSignal };

/** The way to the tools of a target: the gateway's client has it. What it refuses is thrown as `PlatformError`. */
export type McpCalls = {
  callTool(
    caller: Caller,
    call: { toolset: string; tool: string; arguments: JsonObject; operationId: string },
  ): Promise<{ failed: boolean; text: string; structured?: unknown }>;
  listTools(caller: Caller, toolset: string): Promise<{ name: string; inputSchema: JsonObject }[]>;
};
