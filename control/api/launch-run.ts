import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { PlatformError } from '../../schema/errors.ts';
import { runIdFrom, type Tenancy } from '../../schema/ids.ts';
import type { FleetSpec } from '../../schema/resources/fleet.ts';
import type { StartRun } from '../../schema/run.ts';
import { traceIdOfRun } from '../../schema/trace.ts';
import type { Database } from '../../store/database.ts';
import type { Person } from '../../store/people.ts';
import { findResource } from '../../store/resources.ts';
import { getRun, insertRun, type Run, type RunSnapshot } from '../../store/runs.ts';
import type { ApiConfig, ApiDependencies } from './api-dependencies.ts';
import { getResource } from './delete-resource.ts';
import { describeCause } from './describe-cause.ts';
import { inTransaction } from './in-transaction.ts';
import type { Permit } from './permit.ts';
import { recordChange } from './record-change.ts';
import { refuseHalted } from './refuse-halted.ts';
import { takeInputs } from './run-inputs.ts';

/** Takes the fleet with its roles and their models as they are now: what is applied later does not change the run. */
const takeSnapshot = async (database: Database, tenancy: Tenancy, fleet: FleetSpec): Promise<RunSnapshot> => {
  const snapshot: RunSnapshot = { fleet, roles: {}, models: {} };
  for (const { role } of fleet.stages) {
    const { spec } = await getResource(database, { ...tenancy, kind: 'AgentRole', name: role });
    snapshot.roles[role] = spec as RunSnapshot['roles'][string];
  }
  for (const { model } of Object.values(snapshot.roles)) {
    const { spec } = await getResource(database, { ...tenancy, kind: 'Model', name: model });
    snapshot.models[model] = spec as RunSnapshot['models'][string];
  }
  return snapshot;
};

/** Finds the fleet, or says that there is none to whoever may know that. */
const findFleet = async (database: Database, permit: Permit, person: Person, tenancy: Tenancy, name: string) => {
  const found = await findResource(database, { ...tenancy, kind: 'Fleet', name });
  if (found) return found;
  await permit(person, 'getResource', tenancy);
  const { org, project } = tenancy;
  throw new PlatformError('not_found', `There is no fleet ${name} in ${org}/${project}; \`quarterdeck get fleets\` lists them.`);
};

/**
 * Launches a fleet: the row first, then the workflow. A start that Temporal does not take is left to the controller's sweep,
 * which finds the row; the run is launched either way.
 * @throws {PlatformError} `not_permitted`, `not_found`, `halted`, `input_invalid`
 */
export const launchRun = async (
  { database, audit, contentStore, temporal, logger, permit }: ApiDependencies & { permit: Permit },
  { dataDirectory }: Pick<ApiConfig, 'dataDirectory'>,
  person: Person,
  tenancy: Tenancy,
  request: StartRun,
): Promise<Run> => {
  const { org, project } = tenancy;
  const found = await findFleet(database, permit, person, { org, project }, request.fleet);
  const decision = await permit(person, 'launchFleet', tenancy, { kind: 'Fleet', name: request.fleet });
  await refuseHalted(database, { org, project, fleet: request.fleet, person: person.id });
  const fleet = found.metadata.name;
  const snapshot = await takeSnapshot(database, tenancy, found.spec);
  const id = runIdFrom(randomBytes(10));
  const outputDirectory = request.outputDirectory ?? join(dataDirectory, 'runs', id, 'output');
  const taken = await takeInputs(fleet, found.spec, request.inputs, { outputDirectory, dataDirectory });
  const inputsDigest = await contentStore.putJson(tenancy, taken.values, 'run inputs');
  const isTiny = Object.values(snapshot.models).some(({ quality }) => quality === 'tiny');
  const key = { org, project, id };
  await inTransaction(database, async (within) => {
    await insertRun(within, {
      ...key,
      fleet,
      snapshot,
      inputsDigest,
      volumes: taken.volumes,
      outputDirectory: taken.outputDirectory,
      quality: isTiny ? 'tiny' : 'standard',
      startedBy: person.id,
      launchDecisionId: decision.decisionId,
    });
    const facts = { folders: taken.volumes.map(({ hostPath }) => hostPath) };
    await recordChange(audit, within, tenancy, person, decision, {
      action: 'launchFleet',
      fleet,
      run: id,
      traceId: traceIdOfRun(id),
      facts,
    });
  });
  const start = { org, project, fleet, runId: id, attempt: 1 };
  await temporal
    .startFleet(start)
    .catch((error) => logger.warn({ cause: describeCause(error), run: id }, 'the start of a run was not taken; the sweep repeats it'));
  return getRun(database, key);
};
