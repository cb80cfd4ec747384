import type { JsonObject } from '../../agents/json.ts';
import { compareState } from '../../reconcile/compare-state.ts';
import type { ApplyContext } from '../../reconcile/target-port.ts';
import type { ObservedObject } from '../../schema/reconcile/observation.ts';
import type { Operation } from '../../schema/reconcile/operation.ts';
import type { DryRun, StepOutcome } from '../../schema/reconcile/plan.ts';
import type { TargetCall } from '../../schema/resources/reconcile-target.ts';
import type { Database } from '../../store/database.ts';
import { isOperationBegun } from '../../store/find-operation.ts';
import { fillArguments } from './mcp-arguments.ts';
import type { McpCalls } from './mcp-calls.ts';
import { McpRefusal, mcpRefusalOf } from './mcp-failure.ts';
import type { McpIdentities, McpTarget } from './mcp-identity.ts';
import type { McpLooks } from './mcp-observe.ts';

type Made = { tool: string; arguments: JsonObject };
type Acting = { of: string; call: TargetCall; isUndo: boolean };

const failed = (reason: Extract<StepOutcome, { kind: 'failed' }>['reason'], message: string): StepOutcome => ({
  kind: 'failed',
  reason,
  message,
});

/** The declared call of an operation; a target without one is not changed. */
const actingOf = ({ name, spec }: McpTarget, operation: Operation): Acting => {
  if (operation.op !== 'act' && operation.op !== 'undoAct')
    throw new McpRefusal('invalid', `${operation.op} is nothing that the target ${name} declares.`);
  const action = spec.actions.find((one) => one.name === operation.action);
  if (!action || action.of !== operation.object.name)
    throw new McpRefusal('invalid', `The target ${name} declares no action ${operation.action} of ${operation.object.name}.`);
  const isUndo = operation.op === 'undoAct';
  const call = isUndo ? action.undo : action.apply;
  if (!call) throw new McpRefusal('invalid', `The action ${action.name} has nothing that undoes it.`);
  return { of: action.of, call, isUndo };
};

/** Makes declared calls, and says what would be called. */
export const createMcpApply = ({
  database,
  calls,
  identities,
  looks,
  now,
}: {
  database: Database;
  calls: McpCalls;
  identities: McpIdentities;
  looks: McpLooks;
  now: () => Date;
}) => {
  const isAsWanted = (target: McpTarget, { of, isUndo }: Acting, kept: unknown, seen: ObservedObject): boolean =>
    compareState(isUndo ? kept : target.spec.desired[of], seen.state).length === 0;

  const tryIt = async (target: McpTarget, operation: Operation, context: ApplyContext): Promise<StepOutcome> => {
    const { operationId, precondition, holdsFence, readState, signal } = context;
    const acting = actingOf(target, operation);
    const { of, call } = acting;
    // right before acting, so that little can come between
    const before = await looks.look(target, of, signal);
    const kept = operation.op === 'undoAct' ? await readState(operation.stateDigest) : before.state;
    const makeCall = async (): Promise<Made> => ({
      tool: call.tool,
      arguments: fillArguments(call, { desired: target.spec.desired[of], observed: kept }),
    });
    const { agentId, input } = await identities.toAct(target, operationId, makeCall);
    const made = input as Made;
    const principal = `agent:${agentId}`;
    const isSame = precondition.kind === 'none' || (precondition.kind === 'version' && precondition.hash === before.hash);
    // an operation that was begun is asked for again: the gateway makes it once, and has its outcome
    if (!isSame && !(await isOperationBegun(database, { org: target.org, project: target.project, principal, id: operationId })))
      return failed('precondition', `${of} is not as it was when the plan was made.`);
    if (!(await holdsFence())) return failed('fenced', 'a later holder has taken the target');

    let complaint: McpRefusal | undefined;
    try {
      const answer = await calls.callTool({ agentId, signal }, { toolset: target.spec.toolset, ...made, operationId });
      if (answer.failed) complaint = new McpRefusal('incomplete', `${made.tool} failed: ${answer.text.slice(0, 1000)}`);
    } catch (error) {
      signal.throwIfAborted();
      complaint = mcpRefusalOf(error);
      if (complaint.reason === 'refused' || complaint.reason === 'throttled') return failed('refused', complaint.message);
      if (complaint.reason === 'invalid') return failed('invalid', complaint.message);
    }
    // what became of it is what is seen now, not what was said
    const after = await looks.look(target, of, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      return mcpRefusalOf(error);
    });
    if (after instanceof McpRefusal) return { kind: 'unknown', message: complaint?.message ?? after.message };
    if (!complaint || isAsWanted(target, acting, kept, after))
      return { kind: 'applied', version: after.version, hash: after.hash, uid: after.uid, at: now().toISOString() };
    // a tool that says no and has changed nothing has failed; one that never answered may still be at it
    if (complaint.reason === 'incomplete' && after.hash === before.hash) return failed('invalid', complaint.message);
    return { kind: 'unknown', message: complaint.message };
  };

  const tryDry = async (target: McpTarget, operation: Operation, signal: AbortSignal): Promise<DryRun> => {
    const { of, call, isUndo } = actingOf(target, operation);
    const seen = await looks.look(target, of, signal);
    const filled = isUndo ? { ...call.arguments } : fillArguments(call, { desired: target.spec.desired[of], observed: seen.state });
    const agentId = await identities.toTry(target);
    const listed = await calls.listTools({ agentId, signal }, target.spec.toolset);
    const tool = listed.find(({ name }) => name === call.tool);
    if (!tool)
      return {
        ok: false,
        reason: 'refused',
        message: `${call.tool} is not there for the role ${target.spec.role} in ${target.spec.toolset}.`,
      };
    const { required } = tool.inputSchema;
    const missing = Array.isArray(required) ? required.filter((name) => typeof name === 'string' && !Object.hasOwn(filled, name)) : [];
    if (missing.length > 0) return { ok: false, reason: 'invalid', message: `${call.tool} wants ${missing.join(', ')} as well.` };
    // what the tool then does nobody can ask it: the call is shown, and beside it what the declaration says
    return {
      ok: true,
      diff: [
        { path: '/call/tool', after: call.tool },
        { path: '/call/arguments', after: filled as JsonObject },
        ...compareState(target.spec.desired[of], seen.state).map(({ path, desired, observed }) => ({
          path: `/state${path}`,
          ...(observed === undefined ? {} : { before: observed as JsonObject }),
          ...(desired === undefined ? {} : { after: desired as JsonObject }),
        })),
      ],
    };
  };

  return {
    apply: async (target: McpTarget, operation: Operation, context: ApplyContext): Promise<StepOutcome> => {
      try {
        return await tryIt(target, operation, context);
      } catch (error) {
        context.signal.throwIfAborted();
        const { reason, message } = mcpRefusalOf(error);
        // nothing was called yet
        return failed(reason === 'invalid' ? 'invalid' : reason === 'precondition' ? 'precondition' : 'refused', message);
      }
    },

    dryRun: async (target: McpTarget, operation: Operation, signal: AbortSignal): Promise<DryRun> => {
      try {
        return await tryDry(target, operation, signal);
      } catch (error) {
        signal.throwIfAborted();
        const { reason, message } = mcpRefusalOf(error);
        return { ok: false, reason: reason === 'refused' || reason === 'invalid' ? reason : 'unreachable', message };
      }
    },
  };
};
