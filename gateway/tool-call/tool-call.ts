import { createHash } from 'node:crypto';
import type { ArgumentFacts } from '../../policy/argument-facts.ts';
import { PlatformError } from '../../schema/errors.ts';
import type { RegoOutcome } from '../../schema/resources/rego.ts';
import type { ServerAuthKind } from '../../schema/resources/server-auth.ts';
import { canonicalJson } from '../../store/resources.ts';
import type { Decision } from '../decide.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { AskableHook, HookOutcome } from '../hooks/ask-hook.ts';
import type { Carried } from '../labels/create-label-book.ts';
import type { MaskCounts } from '../mask/create-masker.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import type { JsonObject, Reply } from '../mcp/message.ts';
import type { Exposed } from '../surface/exposed.ts';
import { tenancyOf as tenancyOfRequest } from '../surface/record-listing.ts';
import type { ResourceDirectory } from '../surface/resource-directory.ts';
import type { Connection } from '../upstream/upstream.ts';
import type { UpstreamPool } from '../upstream/upstream-pool.ts';

/** One call on its way through the steps; each step adds what it found out. */
export type ToolCall = {
  readonly gateway: GatewayContext;
  readonly pool: UpstreamPool;
  readonly request: ClientRequest;
  /** Which URIs lead back to which server. */
  readonly directory: Pick<ResourceDirectory, 'expose'>;
  /** As the client calls the tool. */
  readonly name: string;
  /** The client's; from `resolve` on as the server is to have them. */
  arguments: JsonObject;
  readonly operationId: string;
  /** Whether the caller can ask again what became of the operation. */
  readonly isNamedOperation: boolean;
  readonly startedAt: number;
  tool?: Exposed;
  decision?: Decision;
  connection?: Connection;
  facts?: ArgumentFacts;
  /** What the caller has read so far; missing where its org has no labels. */
  carried?: Carried;
  /** Set when the answer was found and not made. */
  isReplay?: boolean;
  /** How the server knows who calls, where it is sent a credential. */
  credential?: ServerAuthKind;
  /** Of people, where the call needs one. */
  approvalId?: string;
  /** How much was masked of its answer. */
  masked?: MaskCounts;
  /** Who approved it. */
  approvers?: string[];
  /** What the Rego of the project said of it; missing where none was asked. */
  rego?: RegoOutcome[];
  /** Of the project, about this tool; missing where there are none. */
  hooks?: readonly AskableHook[];
  /** What became of asking them. */
  hooked?: HookOutcome[];
};

/** A step does its one thing and hands on; what it throws is a refusal or a failure. */
export type ToolCallStep = (call: ToolCall, next: () => Promise<Reply>) => Promise<Reply>;

/** What an earlier step has put down; its absence is a mistake in the list of steps. */
export const required = <T>(value: T | undefined, what: string): T => {
  if (value === undefined) throw new PlatformError('internal', `The steps of a tool call are out of order: ${what} is missing.`);
  return value;
};

/** Whether the tool was vetted as one that only reads; any other may have an effect, and what people approved is done once like these. */
export const isReadOnly = ({ tool, approvalId }: Pick<ToolCall, 'tool' | 'approvalId'>): boolean =>
  approvalId === undefined && (tool?.pinned.readOnly ?? false);

/** The refusal of a name that the caller cannot use: the same whether it exists or not; the id finds the decision in the audit. */
export const unknownTool = ({ name, decision }: Pick<ToolCall, 'name' | 'decision'>): PlatformError =>
  new PlatformError('tool_unknown', `Unknown tool: ${name.slice(0, 128)}`, { facts: { decisionId: decision?.decisionId ?? '' } });

/** Who owns the operation ids, and the rows: the tool's tenancy, or the caller's where no tool was found. */
export const tenancyOf = ({ tool, request }: Pick<ToolCall, 'tool' | 'request'>) => tool?.tenancy ?? tenancyOfRequest(request);

/** What is asked of the server, for telling a retry from another call. */
export const argumentsDigest = ({ arguments: argumentsOfCall, request: { params } }: ToolCall): string => {
  const { inputResponses } = params;
  const hash = createHash('sha256').update(canonicalJson(argumentsOfCall));
  return (inputResponses === undefined ? hash : hash.update(canonicalJson({ inputResponses }))).digest('hex');
};

export const operationConflict = (call: ToolCall): PlatformError =>
  new PlatformError(
    'operation_conflict',
    `${call.name}: operation id ${call.operationId} was used for another call; use an id of its own for each call.`,
  );
