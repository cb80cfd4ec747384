import type { ToolCallInput } from '../../policy/rego/rego-input.ts';
import { mostInputBytes } from '../../policy/rego/rego-input.ts';
import { type RegoInForce, refusalIn, refusalText } from '../../policy/rego/rego-policies.ts';
import { PlatformError } from '../../schema/errors.ts';
import type { RegoOutcome } from '../../schema/resources/rego.ts';
import { auditWho, type Principal } from '../principal.ts';
import { required, type ToolCall } from './tool-call.ts';

const principalOf = (principal: Principal): ToolCallInput['principal'] => {
  const { person, role, fleet, run } = auditWho(principal);
  const id = principal.kind === 'agent' ? principal.agentId : `${principal.org}/${principal.id}`;
  return { kind: principal.kind, id, person: person ?? '', role: role ?? '', fleet: fleet ?? '', run: run ?? '' };
};

const inputOf = (call: ToolCall): ToolCallInput => {
  const { tenancy, toolset, server, pinned } = required(call.tool, 'the tool');
  const { readOnly, destructive, idempotent, openWorld } = pinned;
  return {
    version: 1,
    kind: 'toolCall',
    ...{ org: tenancy.org, project: tenancy.project, toolset, server: server.metadata.name, tool: pinned.name },
    atSeconds: Math.floor(call.gateway.now() / 1000),
    principal: principalOf(call.request.principal),
    hints: { readOnly, destructive, idempotent, openWorld },
    arguments: call.arguments,
    facts: required(call.facts, 'the facts'),
  };
};

/** What is larger than any evaluation takes is not even written out for it. */
const tooLarge = ([first]: readonly RegoInForce[]): RegoOutcome[] =>
  first
    ? [
        {
          policySet: first.policySet,
          bundle: first.rego.compiled?.digest ?? null,
          outcome: 'input-too-large',
          rules: [`rego/${first.policySet}`],
          messages: [`it is larger than ${mostInputBytes / 1024} KiB`],
          durationMs: 0,
        },
      ]
    : [];

const ask = async (call: ToolCall, about: readonly RegoInForce[]): Promise<void> => {
  const { rego } = call.gateway;
  const isTooLarge = required(call.facts, 'the facts').bytes > mostInputBytes;
  call.rego = isTooLarge ? tooLarge(about) : await rego.ask(about, inputOf(call));
  const refusal = refusalIn(call.rego);
  if (!refusal) return;
  // what Cedar said stays on record as it was; the decision that is shared by other calls stays as it is
  const decision = required(call.decision, 'the decision');
  call.decision = { ...decision, policies: refusal.rules };
  const rule = refusal.rules.join(', ');
  throw new PlatformError('argument_refused', `${call.name}: ${refusalText(refusal)}`, {
    facts: { decisionId: decision.decisionId, rule },
  });
};

/**
 * Has the Rego of the project judge the arguments of a call that Cedar does not deny. It may refuse; whatever gives no usable answer refuses.
 * @returns undefined where none is about this tool
 * @throws {PlatformError} `argument_refused`
 */
export const narrow = (call: ToolCall): Promise<void> | undefined => {
  const { tenancy, toolset, server, pinned } = required(call.tool, 'the tool');
  const about = call.gateway.rego.aboutTool(tenancy, { toolset, server: server.metadata.name, tool: pinned.name });
  return about.length === 0 ? undefined : ask(call, about);
};
