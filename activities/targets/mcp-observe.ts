import { randomUUID } from 'node:crypto';
import { type JsonObject, parseJson } from '../../agents/json.ts';
import { valueAt } from '../../reconcile/json-pointer.ts';
import type { DesiredObject, Observation, ObservedObject } from '../../schema/reconcile/observation.ts';
import { apiVersion } from '../../schema/resources/metadata.ts';
import type { TargetSpecOf } from '../../schema/resources/reconcile-target.ts';
import { digestOf } from './kubernetes-state.ts';
import type { McpCalls } from './mcp-calls.ts';
import { McpRefusal, mcpRefusalOf } from './mcp-failure.ts';
import type { McpIdentities, McpTarget } from './mcp-identity.ts';

type Look = TargetSpecOf<'mcp'>['observe'][number];

const atOnce = 4;

export const observationRef = (name: string) => ({ apiVersion, kind: 'Observation', namespace: '', name });

/** Sees what there is, by the declared calls alone, as an agent that can only read. */
export const createMcpLooks = ({ calls, identities }: { calls: McpCalls; identities: McpIdentities }) => {
  const lookAs = async (agentId: string, target: McpTarget, look: Look, signal: AbortSignal): Promise<ObservedObject> => {
    const { name, tool, select } = look;
    const { toolset } = target.spec;
    const call = { toolset, tool, arguments: look.arguments as JsonObject, operationId: `look_${randomUUID()}` };
    const answer = await calls.callTool({ agentId, signal }, call);
    if (answer.failed) throw new McpRefusal('incomplete', `${name}: ${tool} failed: ${answer.text.slice(0, 500)}`);
    const whole = answer.structured ?? parseJson(answer.text);
    const state = select === undefined ? whole : valueAt(whole, select);
    if (state === undefined)
      throw new McpRefusal('incomplete', `${name}: ${tool} answered ${whole === undefined ? 'no JSON' : `nothing at ${select}`}.`);
    const hash = digestOf(state);
    return {
      ...{ ref: observationRef(name), uid: digestOf([target.org, target.project, target.name, name]), version: hash, hash },
      ...{ state: state as ObservedObject['state'], health: 'healthy', symptoms: [], owners: [], isOurs: false, deletingSince: '' },
    };
  };

  return {
    /** @throws {McpRefusal} */
    look: async (target: McpTarget, name: string, signal: AbortSignal): Promise<ObservedObject> => {
      const look = target.spec.observe.find((one) => one.name === name);
      if (!look) throw new McpRefusal('invalid', `The target ${target.name} has no observation ${name}.`);
      return lookAs(await identities.toLook(target), target, look, signal);
    },
    /** @throws {McpRefusal} of the first one that cannot be seen: half a look says nothing about the rest */
    lookAtAll: async (target: McpTarget, signal: AbortSignal): Promise<ObservedObject[]> => {
      const agentId = await identities.toLook(target);
      const seen: ObservedObject[] = [];
      const { observe } = target.spec;
      for (let begin = 0; begin < observe.length; begin += atOnce)
        seen.push(...(await Promise.all(observe.slice(begin, begin + atOnce).map((look) => lookAs(agentId, target, look, signal)))));
      return seen;
    },
  };
};
export type McpLooks = ReturnType<typeof createMcpLooks>;

/** Observations that are to be something are the target's objects; the others are its neighbourhood, for whoever diagnoses. */
export const createMcpObserve =
  ({ looks, now }: { looks: McpLooks; now: () => Date }) =>
  async (target: McpTarget, signal: AbortSignal): Promise<Observation> => {
    const at = now().toISOString();
    try {
      const seen = await looks.lookAtAll(target, signal);
      const isWanted = ({ ref }: ObservedObject): boolean => Object.hasOwn(target.spec.desired, ref.name);
      return { status: 'read', at, objects: seen.filter(isWanted), neighbours: seen.filter((object) => !isWanted(object)) };
    } catch (error) {
      signal.throwIfAborted();
      const { reason, message } = mcpRefusalOf(error);
      return { status: 'unknown', at, reason: reason === 'invalid' || reason === 'precondition' ? 'incomplete' : reason, message };
    }
  };

export const mcpDesired = (target: McpTarget): DesiredObject[] =>
  Object.entries(target.spec.desired).map(([name, state]) => ({ ref: observationRef(name), state, wave: 0 }));
