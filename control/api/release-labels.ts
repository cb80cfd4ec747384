import type { Approval } from '../../schema/approval.ts';
import { PlatformError } from '../../schema/errors.ts';
import { defaultTenancy, type Tenancy } from '../../schema/ids.ts';
import type { ReleaseClient, Released, ReleaseRun } from '../../schema/run.ts';
import { listAgents } from '../../store/agents.ts';
import type { ExactRelease } from '../../store/exact-change.ts';
import { agentSubject, findLabels, releaseLabels } from '../../store/flow-labels.ts';
import type { Person } from '../../store/people.ts';
import { findResource } from '../../store/resources.ts';
import { getRun, type RunKey } from '../../store/runs.ts';
import type { ApiConfig, ApiDecision, ApiDependencies } from './api-dependencies.ts';
import { changeNeed } from './change-need.ts';
import { inTransaction } from './in-transaction.ts';
import type { Permit } from './permit.ts';
import { proposeChange } from './propose-change.ts';
import { recordReleased } from './release-approved.ts';

type Dependencies = Pick<ApiDependencies, 'database' | 'audit' | 'approvalKeys'> & Pick<ApiConfig, 'profile'> & { permit: Permit };
type Wanted = { subjects: string[]; subject: string; reason: string; run: ExactRelease['run'] };

/** What came of asking for a release: it is in force, or waits for other people. */
export type ReleaseOutcome = { released: Released } | { waiting: Approval };

const asReleased = (labels: Awaited<ReturnType<typeof findLabels>>): Released['released'] =>
  [...labels].map(([subject, label]) => ({ subject, label }));

/** Lets labels fall, each on record, or none; or asks other people first, where the project or its profile has it so. */
const release = async (
  dependencies: Dependencies,
  tenancy: Tenancy,
  person: Person,
  decision: ApiDecision,
  { subjects, subject, reason, run }: Wanted,
): Promise<ReleaseOutcome> => {
  const { database, audit, profile } = dependencies;
  const place = await findResource(database, { ...tenancy, kind: 'Project', name: tenancy.project });
  const need = changeNeed('release', profile, place?.spec);
  if (need) {
    const carried = asReleased(await findLabels(database, tenancy, subjects));
    // of what carries nothing there is nothing to ask
    if (carried.length === 0) return { released: { released: [] } };
    const change: ExactRelease = { kind: 'release', ...tenancy, reason, run, carried };
    return { waiting: await proposeChange(dependencies, person, tenancy, decision, { change, subject, need }) };
  }
  const released = await inTransaction(database, async (within) => {
    const found = asReleased(await releaseLabels(within, tenancy, subjects));
    await recordReleased(audit, within, tenancy, person, decision, found, { reason, run });
    return found;
  });
  return { released: { released } };
};

/**
 * Lets fall what agents of a run carry, because a person says that it may be told. What they read after that is carried again.
 * @throws {PlatformError} `not_permitted`, `not_found`, `input_invalid`, `approval_denied`
 */
export const releaseRun = async (
  dependencies: Dependencies,
  person: Person,
  key: RunKey,
  { reason, agents: chosen }: ReleaseRun,
): Promise<ReleaseOutcome> => {
  const run = await getRun(dependencies.database, key);
  const decision = await dependencies.permit(person, 'releaseLabel', key, { kind: 'Fleet', name: run.fleet });
  const ids = (await listAgents(dependencies.database, key)).map(({ id }) => id);
  const strangers = chosen?.filter((id) => !ids.includes(id)) ?? [];
  if (strangers.length > 0) throw new PlatformError('input_invalid', `${strangers.join(', ')}: no agent of the run ${key.id}.`);
  return release(dependencies, { org: key.org, project: key.project }, person, decision, {
    subjects: (chosen ?? ids).map(agentSubject),
    subject: `labels of ${key.id}`,
    reason,
    run: { id: run.id, fleet: run.fleet },
  });
};

/**
 * The same for a client of a person, whose labels are of the org and stand in its project `default`.
 * @throws {PlatformError} `not_permitted`, `approval_denied`
 */
export const releaseClient = async (
  dependencies: Dependencies,
  person: Person,
  { org }: Tenancy,
  { client, reason }: ReleaseClient,
): Promise<ReleaseOutcome> => {
  const tenancy = { org, project: defaultTenancy.project };
  const decision = await dependencies.permit(person, 'releaseLabel', tenancy);
  return release(dependencies, tenancy, person, decision, { subjects: [client], subject: `labels of ${client}`, reason, run: null });
};
