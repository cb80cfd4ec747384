import { authorize } from './authorize.ts';
import { canonicalize } from './canonicalize.ts';
import { connect } from './connect.ts';
import { filter } from './filter.ts';
import { forward } from './forward.ts';
import { intend } from './intend.ts';
import { limit } from './limit.ts';
import { record } from './record.ts';
import { resolve } from './resolve.ts';
import { required, type ToolCall, type ToolCallStep, type ToolOutcome } from './tool-call.ts';

/** A tool call, top to bottom; who calls was found out at the door, once for the whole request. */
export const callToolSteps = [
  record, // wraps the rest: audit row for every outcome, refusals too
  resolve, // tool name -> server and pinned definition, by table; what may never be used is unknown
  limit, // one call of the agent's limit, set aside before anything happens
  connect, // the server runs, and still offers what was pinned
  canonicalize, // path, URL and host arguments -> facts
  authorize, // policy decision on principal, tool and arguments
  intend, // intent before an effect, outcome after; a retry finds the outcome
  filter, // result limits
  forward, // to the server, with the caller's abort signal
] as const satisfies readonly ToolCallStep[];

/** @throws {PlatformError} each refusal and failure of the steps */
export const callTool = (call: ToolCall): Promise<ToolOutcome> => {
  const run = (index: number): Promise<ToolOutcome> => required(callToolSteps[index], 'a next step')(call, () => run(index + 1));
  return run(0);
};
