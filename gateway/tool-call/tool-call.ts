import { createHash } from 'node:crypto';
import type { CallToolResult } from '@modelcontextprotocol/server';
import type { ArgumentFacts } from '../../policy/argument-facts.ts';
import { PlatformError } from '../../schema/errors.ts';
import { canonicalJson } from '../../store/resources.ts';
import type { Decision } from '../decide.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { Endpoint } from '../mcp/endpoint.ts';
import type { ExposedTool } from '../mcp/exposed-tools.ts';
import type { RunOfServer } from '../mcp/launch-of.ts';
import type { Connection, Upstreams } from '../mcp/upstreams.ts';
import type { Principal } from '../principal.ts';

/** How a call ended: the server's answer, or its JSON-RPC error. */
export type ToolOutcome = { kind: 'result'; result: CallToolResult } | { kind: 'rpc-error'; code: number; message: string };

/** One call on its way through the steps; each step adds what it found out. */
export type ToolCall = {
  readonly gateway: GatewayContext;
  readonly upstreams: Upstreams;
  readonly principal: Principal;
  readonly endpoint: Endpoint;
  readonly name: string;
  readonly arguments: Record<string, unknown>;
  readonly operationId: string;
  /** Whether the caller named the operation, so that it can ask again what became of it. */
  readonly isNamedOperation: boolean;
  /** Aborted when the caller leaves. */
  readonly signal: AbortSignal;
  readonly startedAt: number;
  tool?: ExposedTool;
  decision?: Decision;
  connection?: Connection;
  facts?: ArgumentFacts;
  /** Set when the answer was found and not made. */
  isReplay?: boolean;
};

/** A step does its one thing and hands on; what it throws is a refusal or a failure. */
export type ToolCallStep = (call: ToolCall, next: () => Promise<ToolOutcome>) => Promise<ToolOutcome>;

/** What an earlier step has put down; its absence is a mistake in the list of steps. */
export const required = <T>(value: T | undefined, what: string): T => {
  if (value === undefined) throw new PlatformError('internal', `The steps of a tool call are out of order: ${what} is missing.`);
  return value;
};

/** Whether the tool was vetted as one that only reads; any other may have an effect. */
export const isReadOnly = (call: ToolCall): boolean => call.tool?.tool.readOnly ?? false;

export const runOf = (principal: Principal): RunOfServer | undefined =>
  principal.kind === 'agent' ? { runId: principal.runId, volumes: principal.volumes } : undefined;

/** The refusal of a name that the caller cannot use: the same whether it exists or not; the id finds the decision in the audit. */
export const unknownTool = ({ name, decision }: Pick<ToolCall, 'name' | 'decision'>): PlatformError =>
  new PlatformError('tool_unknown', `Unknown tool: ${name.slice(0, 128)}`, { facts: { decisionId: decision?.decisionId ?? '' } });

/** Who owns the operation ids, and the rows: the tool's tenancy, or the caller's where no tool was found. */
export const tenancyOf = ({ tool, endpoint, principal }: ToolCall) =>
  tool?.tenancy ??
  (endpoint.kind === 'toolset' && endpoint.tenancy.org === principal.org
    ? endpoint.tenancy
    : { org: principal.org, project: principal.kind === 'agent' ? principal.project : 'default' });

/** Which arguments a call has, for telling a retry from another call. */
export const argumentsDigest = (call: ToolCall): string => createHash('sha256').update(canonicalJson(call.arguments)).digest('hex');

export const operationConflict = (call: ToolCall): PlatformError =>
  new PlatformError(
    'operation_conflict',
    `${call.name}: operation id ${call.operationId} was used for another call; use an id of its own for each call.`,
  );
