import { createHash } from 'node:crypto';
import type { TargetOf } from '../../reconcile/target-port.ts';
import { actingFleet, agentIdOf, reconcileFleet, runIdFrom } from '../../schema/ids.ts';
import { AgentLimitsSchema } from '../../schema/resources/agent-role.ts';
import { FleetSpecSchema } from '../../schema/resources/fleet.ts';
import type { TargetSpecOf } from '../../schema/resources/reconcile-target.ts';
import { beginAgent, findAgentWithRun, getAgent, insertAgents } from '../../store/agents.ts';
import type { ContentStore } from '../../store/contents.ts';
import type { Database } from '../../store/database.ts';
import { insertDiagnosisRun } from '../../store/diagnosis-runs.ts';
import { endTargetRuns } from '../../store/end-target-runs.ts';
import { agentSubject, beginLabels } from '../../store/flow-labels.ts';
import { findResource } from '../../store/resources.ts';
import { McpRefusal } from './mcp-failure.ts';

export type McpTarget = TargetOf<TargetSpecOf<'mcp'>>;

/** Whether a target's owner may use its role, on whose behalf it is then seen and changed. @throws {PlatformError} `not_permitted` */
export type AuthoriseRole = (target: McpTarget, role: string) => Promise<{ owner: string; launchDecisionId: string }>;

/** An agent that looks is a new one after this long, so that none lives on with what its owner was once allowed. */
const lookingForMs = 10 * 60_000;
/** An operation is found again, with its arguments, for this long. */
const actingForMs = 24 * 3_600_000;

const mostCalls = 10_000;

/**
 * The identities of targets of type `mcp`: agents of the target's role in runs of the reconciler's own. One that looks belongs to the fleet
 * whose agents policy lets read alone; one that acts belongs to another, and there is one for each operation, whose input holds the call as
 * it was first made.
 */
export const createMcpIdentities = ({
  database,
  contents,
  authorise,
  now,
}: {
  database: Database;
  contents: ContentStore;
  authorise: AuthoriseRole;
  now: () => Date;
}) => {
  const open = async (
    target: McpTarget,
    { fleet, of, lifetimeMs, calls }: { fleet: string; of: string; lifetimeMs: number; calls: number },
    makeInput: () => Promise<unknown>,
  ): Promise<{ agentId: string; input: unknown }> => {
    const { org, project, name, generation, spec } = target;
    const place = { org, project };
    const text = [fleet, org, project, name, generation, of].join('/');
    const runId = runIdFrom(createHash('sha256').update(text).digest());
    const agentId = agentIdOf({ ...place, fleet, runId, stage: name, role: spec.role, ordinal: 0 });
    // who looks and who acts may open it at the same moment: each write of it is the same, and the first one counts
    const known = (await findAgentWithRun(database, agentId))?.agent;
    if (!known) {
      const role = await findResource(database, { ...place, kind: 'AgentRole', name: spec.role });
      if (!role) throw new McpRefusal('refused', `There is no role ${spec.role}; the target ${name} is seen and changed as it.`);
      const { owner, launchDecisionId } = await authorise(target, spec.role);
      const inputDigest = await contents.putJson(place, await makeInput(), 'agent-input');
      await endTargetRuns(database, { ...place, fleet, stage: name, before: new Date(now().getTime() - lifetimeMs) });
      await insertDiagnosisRun(database, {
        ...{ ...place, id: runId, fleet, quality: 'standard', startedBy: owner, launchDecisionId, inputsDigest: inputDigest },
        snapshot: {
          fleet: FleetSpecSchema.parse({ stages: [{ name, role: spec.role }] }),
          roles: { [spec.role]: { ...role.spec, toolset: spec.toolset } },
          models: {},
        },
      });
      const { argumentBytes, resultBytes } = role.spec.limits;
      const limits = AgentLimitsSchema.parse({ calls, timeSeconds: Math.ceil(lifetimeMs / 1000) * 2, argumentBytes, resultBytes });
      await insertAgents(database, [
        { ...place, id: agentId, runId, stage: name, role: spec.role, ordinal: 0, inputDigest, assignedPaths: [], limits },
      ]);
      // what it acts on was told by the observed system
      const sources = [{ from: `${org}/${project}/${name}`, secrecy: 0, tainted: true }];
      await beginLabels(database, place, [agentSubject(agentId)], { secrecy: 0, tainted: true, sources });
    }
    if (known?.state !== 'running') await beginAgent(database, agentId);
    return { agentId, input: await contents.getJson(place, (await getAgent(database, agentId)).inputDigest) };
  };

  return {
    toLook: async (target: McpTarget): Promise<string> => {
      const of = `look/${Math.floor(now().getTime() / lookingForMs)}`;
      const input = async () => ({ looks: target.spec.observe });
      return (await open(target, { fleet: reconcileFleet, of, lifetimeMs: lookingForMs, calls: mostCalls }, input)).agentId;
    },
    /** @param makeCall - of an operation that is new; one that was tried before is made with the same arguments */
    toAct: (target: McpTarget, operationId: string, makeCall: () => Promise<unknown>) =>
      open(target, { fleet: actingFleet, of: operationId, lifetimeMs: actingForMs, calls: 64 }, makeCall),
    /** Who may ask what there is to act with, for a dry-run. */
    toTry: async (target: McpTarget): Promise<string> => {
      const of = `try/${Math.floor(now().getTime() / lookingForMs)}`;
      return (await open(target, { fleet: actingFleet, of, lifetimeMs: actingForMs, calls: mostCalls }, async () => ({}))).agentId;
    },
  };
};
export type McpIdentities = ReturnType<typeof createMcpIdentities>;
