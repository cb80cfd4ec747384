import { type FlowLabel, joinLabels, noLabel } from '../schema/flow-label.ts';
import { qualifiedName } from '../schema/ids.ts';
import { holdsTyped } from '../schema/typed-output.ts';
import type { Database } from '../store/database.ts';
import { agentSubject, findLabels } from '../store/flow-labels.ts';
import type { Run } from '../store/runs.ts';
import type { PlannedStage, StagePlan } from './plan-stages.ts';

/** What an input of the run is declared to carry. */
const labelOfInput = ({ org, project, fleet, snapshot }: Run, name: string): FlowLabel => {
  const { secrecy = 0, source = false } = snapshot.fleet.inputs.find((input) => input.name === name) ?? {};
  if (secrecy === 0 && !source) return noLabel;
  const from = `${qualifiedName({ org, project }, fleet)}/input/${name}`;
  return { secrecy, tainted: source, sources: [{ from, secrecy, tainted: source }] };
};

/** Whether all that a stage answered is free of words by its role's declaration, and is what that says. */
const isTyped = ({ snapshot }: Run, { stage, outputs }: PlannedStage): boolean => {
  const role = snapshot.roles[stage.role];
  return role?.release === 'typed' && outputs.every((output) => holdsTyped(role.output, output));
};

/**
 * What the agents of a stage carry when they begin: all that their inputs were made out of. An answer carries what its agent does, unless its
 * role releases it as typed.
 */
export const labelOfStage = async (database: Database, run: Run, { stages }: StagePlan, name: string): Promise<FlowLabel> => {
  const of = async (planned: PlannedStage | undefined): Promise<FlowLabel> => {
    const labels = [...(planned?.looked ?? [])].map(async (place): Promise<FlowLabel> => {
      const [kind, first = '', part] = place.split('.');
      if (kind === 'inputs') return labelOfInput(run, place.slice('inputs.'.length));
      const earlier = stages.find(({ stage }) => stage.name === first);
      // elements of a list are as they were handed to that stage
      if (part === 'unfinished') return of(earlier);
      if (!earlier || isTyped(run, earlier)) return noLabel;
      const subjects = earlier.agents.flatMap(({ agent }) => (agent ? [agentSubject(agent.id)] : []));
      return joinLabels(...(await findLabels(database, run, subjects)).values());
    });
    return joinLabels(...(await Promise.all(labels)));
  };
  return of(stages.find(({ stage }) => stage.name === name));
};
