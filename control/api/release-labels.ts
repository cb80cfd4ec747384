import { PlatformError } from '../../schema/errors.ts';
import type { FlowLabel } from '../../schema/flow-label.ts';
import { defaultTenancy, type Tenancy } from '../../schema/ids.ts';
import type { ReleaseClient, Released, ReleaseRun } from '../../schema/run.ts';
import { traceIdOfRun } from '../../schema/trace.ts';
import { listAgents } from '../../store/agents.ts';
import { agentSubject, releaseLabels } from '../../store/flow-labels.ts';
import type { Person } from '../../store/people.ts';
import { getRun, type RunKey } from '../../store/runs.ts';
import type { ApiDecision, ApiDependencies } from './api-dependencies.ts';
import { inTransaction } from './in-transaction.ts';
import type { Permit } from './permit.ts';
import { recordChange } from './record-change.ts';

type Dependencies = Pick<ApiDependencies, 'database' | 'audit'> & { permit: Permit };
type Change = { person: Person; decision: ApiDecision; reason: string; run?: { fleet: string; id: string } };

/** Lets labels fall; each that did is on record with the person, the reason and what was carried, or none does. */
const release = ({ database, audit }: Dependencies, tenancy: Tenancy, subjects: string[], { person, decision, reason, run }: Change) =>
  inTransaction(database, async (within): Promise<Released> => {
    const found: ReadonlyMap<string, FlowLabel> = await releaseLabels(within, tenancy, subjects);
    const released = [...found].map(([subject, label]) => ({ subject, label }));
    for (const { subject, label } of released)
      await recordChange(audit, within, tenancy, person, decision, {
        action: 'releaseLabel',
        ...(run ? { fleet: run.fleet, run: run.id, traceId: traceIdOfRun(run.id) } : {}),
        ...(subject.startsWith('agent:') ? { agent: subject.slice('agent:'.length) } : { resource: subject }),
        facts: { label, reason },
      });
    return { released };
  });

/**
 * Lets fall what agents of a run carry, because a person says that it may be told. What they read after that is carried again.
 * @throws {PlatformError} `not_permitted`, `not_found`, `input_invalid`
 */
export const releaseRun = async (
  dependencies: Dependencies,
  person: Person,
  key: RunKey,
  { reason, agents: chosen }: ReleaseRun,
): Promise<Released> => {
  const run = await getRun(dependencies.database, key);
  const decision = await dependencies.permit(person, 'releaseLabel', key, { kind: 'Fleet', name: run.fleet });
  const ids = (await listAgents(dependencies.database, key)).map(({ id }) => id);
  const strangers = chosen?.filter((id) => !ids.includes(id)) ?? [];
  if (strangers.length > 0) throw new PlatformError('input_invalid', `${strangers.join(', ')}: no agent of the run ${key.id}.`);
  return release(dependencies, key, (chosen ?? ids).map(agentSubject), { person, decision, reason, run });
};

/** The same for a client of a person, whose labels are of the org and stand in its project `default`. @throws {PlatformError} `not_permitted` */
export const releaseClient = async (
  dependencies: Dependencies,
  person: Person,
  { org }: Tenancy,
  { client, reason }: ReleaseClient,
): Promise<Released> => {
  const tenancy = { org, project: defaultTenancy.project };
  const decision = await dependencies.permit(person, 'releaseLabel', tenancy);
  return release(dependencies, tenancy, [client], { person, decision, reason });
};
