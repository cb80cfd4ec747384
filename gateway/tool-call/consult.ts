import { PlatformError } from '../../schema/errors.ts';
import type { HookAnswer } from '../../schema/resources/policy-hook.ts';
import type { AskableHook, HookOutcome } from '../hooks/ask-hook.ts';
import type { JsonObject, Reply } from '../mcp/message.ts';
import { principalName, whoOf } from '../principal.ts';
import { isComplete } from '../surface/present-result.ts';
import { toolError } from './present-tool-result.ts';
import { required, type ToolCall, type ToolCallStep } from './tool-call.ts';

const masked = '[masked]';

/** Every text in a result without what is not to be seen; keys stay, so that the result keeps its form. */
const mask = (value: unknown, texts: readonly string[]): unknown => {
  if (typeof value === 'string') return texts.reduce((text, hidden) => text.replaceAll(hidden, masked), value);
  if (Array.isArray(value)) return value.map((each) => mask(each, texts));
  // a number of many digits is an object of its own kind
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, mask(inner, texts)]));
};

const bodyOf = (call: ToolCall): object => {
  const { tenancy, server, pinned } = required(call.tool, 'the tool');
  const { principal } = call.request;
  return {
    version: 1,
    ...{ org: tenancy.org, project: tenancy.project, server: server.metadata.name, tool: pinned.name },
    ...{ principal: principalName(principal), run: whoOf(principal).run, decisionId: call.decision?.decisionId ?? '' },
    arguments: call.arguments,
  };
};

/** Asks one hook; undefined where it gave no usable answer. What is written down of it goes into the row of the call. */
const consultOne = async (call: ToolCall, hook: AskableHook, on: 'call' | 'result', body: object): Promise<HookAnswer | undefined> => {
  const { gateway } = call;
  const begun = gateway.now();
  const note = (outcome: HookOutcome['outcome']): void => {
    call.hooked = [...(call.hooked ?? []), { name: hook.name, on, outcome, durationMs: gateway.now() - begun }];
  };
  if (!hook.breaker.admit().ok) {
    note(hook.failMode);
    return undefined;
  }
  try {
    const answer = await hook.ask({ ...body, phase: on });
    hook.breaker.succeeded();
    note(answer.decision === 'deny' ? 'deny' : on === 'result' && answer.mask?.length ? 'masked' : 'allow');
    return answer;
  } catch (error) {
    hook.breaker.failed();
    // what it answered may be quoted in the message, and is not ours to log
    const reason = error instanceof Error ? error.name : 'unknown';
    gateway.logger.warn({ hook: hook.name, reason, failMode: hook.failMode }, 'a hook gave no usable answer');
    note(hook.failMode);
    return undefined;
  }
};

const reasonOf = ({ reason }: HookAnswer): string => (reason === undefined ? '' : ` It says: ${reason}`);

const consultAll = async (call: ToolCall, hooks: readonly AskableHook[]): Promise<void> => {
  for (const hook of hooks.filter(({ on }) => on.includes('call'))) {
    const answer = await consultOne(call, hook, 'call', bodyOf(call));
    if (answer?.decision === 'deny')
      throw new PlatformError('hook_refused', `${call.name}: refused by the hook ${hook.name}.${reasonOf(answer)}`, {
        facts: { decisionId: call.decision?.decisionId ?? '', hook: hook.name },
      });
    if (!answer && hook.failMode === 'closed')
      throw new PlatformError(
        'hook_unavailable',
        `${call.name}: the hook ${hook.name} gives no usable answer, so nothing was sent; try again.`,
        {
          facts: { hook: hook.name },
        },
      );
  }
};

/** Asks the hooks of the project about a call that its policies allow. They may refuse it; they can allow nothing. */
export const consult: ToolCallStep = (call, next) => {
  const { hooks } = call.gateway;
  if (hooks.isIdle()) return next();
  const about = hooks.about(required(call.tool, 'the tool'));
  if (about.length === 0) return next();
  call.hooks = about;
  return consultAll(call, about).then(next);
};

const withheld = (code: 'hook_refused' | 'hook_unavailable', { name }: ToolCall, hook: AskableHook, why: string): Reply =>
  toolError(new PlatformError(code, `${name} ran, and its result was withheld by the hook ${hook.name}.${why}`));

/** Asks them about the result. The tool has run: where it is withheld, the caller hears that. */
export const consultOnResult = async (call: ToolCall, reply: Reply): Promise<Reply> => {
  let shown = reply;
  for (const hook of (call.hooks ?? []).filter(({ on }) => on.includes('result'))) {
    if (shown.kind === 'error') return shown;
    const isClosed = hook.failMode === 'closed';
    // what a task of the server ends with is fetched later, past this place
    if (shown.result.resultType === 'task' && isClosed) return withheld('hook_unavailable', call, hook, ' The server answers with a task.');
    if (!isComplete(shown.result)) return shown;
    const answer = await consultOne(call, hook, 'result', { ...bodyOf(call), result: shown.result });
    if (answer?.decision === 'deny') return withheld('hook_refused', call, hook, reasonOf(answer));
    if (!answer && isClosed) return withheld('hook_unavailable', call, hook, ' It gives no usable answer.');
    if (answer?.mask?.length) shown = { kind: 'result', result: mask(shown.result, answer.mask) as JsonObject };
  }
  return shown;
};
