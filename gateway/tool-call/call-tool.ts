import { PlatformError } from '../../schema/errors.ts';
import { isObject, type JsonObject, type Reply } from '../mcp/message.ts';
import { readOperationId } from '../mcp/read-operation-id.ts';
import { authorize } from './authorize.ts';
import { canonicalize } from './canonicalize.ts';
import { checkInput } from './check-input.ts';
import { connect } from './connect.ts';
import { consult } from './consult.ts';
import { exchange } from './exchange.ts';
import { filter } from './filter.ts';
import { forward } from './forward.ts';
import { halt } from './halt.ts';
import { intend } from './intend.ts';
import { carry, label } from './label.ts';
import { limit } from './limit.ts';
import { record } from './record.ts';
import { resolve } from './resolve.ts';
import { required, type ToolCall, type ToolCallStep } from './tool-call.ts';

/** A tool call, top to bottom; who calls was found out at the door, once for the whole request. */
export const callToolSteps = [
  record, // wraps the rest: audit row for every outcome, refusals too
  resolve, // tool name -> server and pinned definition, by table; what may never be used is unknown
  halt, // the brake: what is halted does not begin
  checkInput, // headers against the body, arguments against the pinned schema
  limit, // one call of the agent's limit, set aside before anything happens
  connect, // the server runs, and still offers what was pinned
  canonicalize, // path, URL and host arguments -> facts
  label, // what the caller has read so far joins the facts
  authorize, // policy decision on principal, tool and arguments
  consult, // hooks of the project about a call that is allowed
  exchange, // a credential that only that server accepts
  carry, // what it is about to read is carried from here on
  intend, // intent before an effect, outcome after; a retry finds the outcome
  filter, // result limits, the pinned output schema, URIs as callers know them
  forward, // to the server, with the caller's abort signal
] as const satisfies readonly ToolCallStep[];

const argumentsIn = (params: JsonObject): JsonObject => {
  const { arguments: given = {} } = params;
  if (!isObject(given)) throw new PlatformError('request_invalid', 'Invalid params: `arguments` is not an object.');
  return given;
};

/**
 * Calls a tool for a client.
 * @throws {PlatformError} at once what is no call at all, and by the promise each refusal and failure of the steps, {RpcRefusal} those that have a code of the protocol's own
 */
export const callTool = ({
  gateway,
  pool,
  request,
  directory,
}: Pick<ToolCall, 'gateway' | 'pool' | 'request' | 'directory'>): Promise<Reply> => {
  const { name, _meta } = request.params;
  if (typeof name !== 'string') throw new PlatformError('request_invalid', 'Invalid params: `name` is missing or no string.');
  const call: ToolCall = {
    gateway,
    pool,
    request,
    directory,
    name,
    arguments: argumentsIn(request.params),
    ...readOperationId(isObject(_meta) ? _meta : undefined, request.idempotencyKey, request.round),
    startedAt: gateway.now(),
  };
  const run = (index: number): Promise<Reply> => required(callToolSteps[index], 'a next step')(call, () => run(index + 1));
  return run(0);
};
