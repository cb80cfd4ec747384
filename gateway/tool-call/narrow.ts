import type { ArgumentFacts } from '../../policy/argument-facts.ts';
import type { ToolCallInput } from '../../policy/rego/rego-input.ts';
import { mostInputBytes } from '../../policy/rego/rego-input.ts';
import { type RegoInForce, refusalIn, refusalText } from '../../policy/rego/rego-policies.ts';
import { PlatformError } from '../../schema/errors.ts';
import type { RegoOutcome } from '../../schema/resources/rego.ts';
import type { Decision } from '../decide.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import { isObject, type JsonObject, textOf } from '../mcp/message.ts';
import { auditWho, type Principal } from '../principal.ts';
import { argumentsOf, type Exposed } from '../surface/exposed.ts';
import { required, type ToolCall } from './tool-call.ts';

const principalOf = (principal: Principal): ToolCallInput['principal'] => {
  const { person, role, fleet, run } = auditWho(principal);
  const id = principal.kind === 'agent' ? principal.agentId : `${principal.org}/${principal.id}`;
  return { kind: principal.kind, id, person: person ?? '', role: role ?? '', fleet: fleet ?? '', run: run ?? '' };
};

/** What Rego is asked about: one round of a call. */
type Asked = {
  gateway: GatewayContext;
  request: ClientRequest;
  tool: Exposed;
  /** As the server is to have them. */
  arguments: JsonObject;
  facts: ArgumentFacts;
};

const inputOf = ({ gateway, request: { principal, params }, tool, arguments: given, facts }: Asked): ToolCallInput => {
  const { tenancy, toolset, server, pinned } = tool;
  const { readOnly, destructive, idempotent, openWorld } = pinned;
  return {
    version: 1,
    kind: 'toolCall',
    ...{ org: tenancy.org, project: tenancy.project, toolset, server: server.metadata.name, tool: pinned.name },
    atSeconds: Math.floor(gateway.now() / 1000),
    principal: principalOf(principal),
    hints: { readOnly, destructive, idempotent, openWorld },
    arguments: given,
    inputResponses: isObject(params.inputResponses) ? params.inputResponses : {},
    facts,
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

/**
 * Has Rego of the project judge one round of a call.
 * @returns what became of asking; undefined where none is about this tool
 */
const askAbout = async (asked: Asked, about: readonly RegoInForce[]): Promise<RegoOutcome[]> =>
  asked.facts.bytes > mostInputBytes ? tooLarge(about) : asked.gateway.rego.ask(about, inputOf(asked));

const aboutTool = (gateway: GatewayContext, { tenancy, toolset, server, pinned }: Exposed): readonly RegoInForce[] =>
  gateway.rego.aboutTool(tenancy, { toolset, server: server.metadata.name, tool: pinned.name });

const refused = (name: string, refusal: RegoOutcome, decisionId: string): PlatformError =>
  new PlatformError('argument_refused', `${name}: ${refusalText(refusal)}`, { facts: { decisionId, rule: refusal.rules.join(', ') } });

const ask = async (call: ToolCall, asked: Asked, about: readonly RegoInForce[]): Promise<void> => {
  call.rego = await askAbout(asked, about);
  const refusal = refusalIn(call.rego);
  if (!refusal) return;
  // what Cedar said stays on record as it was; the decision that is shared by other calls stays as it is
  const decision = required(call.decision, 'the decision');
  call.decision = { ...decision, policies: refusal.rules };
  throw refused(call.name, refusal, decision.decisionId);
};

/**
 * Has the Rego of the project judge the arguments of a call that Cedar does not deny, in each of its rounds. It may refuse; whatever gives
 * no usable answer refuses.
 * @returns undefined where none is about this tool
 * @throws {PlatformError} `argument_refused`
 */
export const narrow = (call: ToolCall): Promise<void> | undefined => {
  const { gateway, request } = call;
  const tool = required(call.tool, 'the tool');
  const about = aboutTool(gateway, tool);
  if (about.length === 0) return undefined;
  return ask(call, { gateway, request, tool, arguments: call.arguments, facts: required(call.facts, 'the facts') }, about);
};

/**
 * The same about a round that goes on with a call which is under way, by the arguments that the client repeats with it.
 * @param tool - as it is in force now
 * @throws {PlatformError} `argument_refused`, and leaves a row
 */
export const narrowAgain = async (
  gateway: GatewayContext,
  request: ClientRequest,
  tool: Exposed,
  { facts, decision }: { facts: ArgumentFacts; decision: Decision },
): Promise<void> => {
  const about = aboutTool(gateway, tool);
  if (about.length === 0) return;
  const given = isObject(request.params.arguments) ? request.params.arguments : {};
  const outcomes = await askAbout({ gateway, request, tool, arguments: argumentsOf(tool, given), facts }, about);
  const refusal = refusalIn(outcomes);
  if (!refusal) return;
  gateway.audit.write({
    ...tool.tenancy,
    ...auditWho(request.principal),
    kind: 'refusal',
    action: 'followTask',
    decision: 'deny',
    decisionId: decision.decisionId,
    policies: refusal.rules,
    toolset: tool.toolset,
    server: tool.server.metadata.name,
    tool: tool.pinned.name,
    outcome: 'refused',
    errorCode: 'argument_refused',
    facts: { rego: outcomes },
  });
  throw refused(textOf(request.params.name), refusal, decision.decisionId);
};
