import { agentIdOf, diagnosisRunId, reconcileFleet, type Tenancy } from '../schema/ids.ts';
import type { Plan } from '../schema/reconcile/plan.ts';
import { reconcilerId } from './caller-entities.ts';
import type { FixProposer } from './decide-fix.ts';

/**
 * Who proposed a plan: of a model the agent of its diagnosis, else what stands for the target's rules and people.
 * @param owner - the person who declared the target
 */
export const fixProposerOf = (
  { fixId, plan, target }: { fixId: string; plan: Pick<Plan, 'source'>; target: Tenancy & { name: string } },
  owner: string,
): FixProposer => {
  const { org, project, name } = target;
  if (plan.source.kind !== 'model')
    // whoever edited a plan proposed it, and does not approve it
    return {
      agentId: `${reconcilerId({ org, project }, name)}/${plan.source.kind}`,
      fleet: reconcileFleet,
      role: plan.source.kind,
      owner: plan.source.kind === 'person' ? plan.source.person : owner,
    };
  const { role } = plan.source;
  const address = { org, project, fleet: reconcileFleet, runId: diagnosisRunId(fixId), stage: name, role, ordinal: 0 };
  return { agentId: agentIdOf(address), fleet: reconcileFleet, role, owner };
};
