import { afterAll, beforeAll } from 'vitest';
import { agentIdOf, defaultTenancy } from '../../schema/ids.ts';
import type { AgentLimits } from '../../schema/resources/agent-role.ts';
import { FleetSpecSchema } from '../../schema/resources/fleet.ts';
import { beginAgent, insertAgents } from '../../store/agents.ts';
import { closeDatabase, type Database, openDatabase } from '../../store/database.ts';
import { insertRun, moveRun, type RunKey } from '../../store/runs.ts';
import { startTestDatabase } from './postgres.ts';

/** Gives a test file a database of its own, for as long as its tests run. @returns the database, and its URL */
export const useTestDatabase = (): { database(): Database; url(): string } => {
  let database: Database;
  let url: string;
  let drop: () => Promise<void>;
  beforeAll(async () => {
    ({ url, close: drop } = await startTestDatabase());
    database = openDatabase({ url, max: 20, name: 'test' });
  });
  afterAll(async () => {
    await closeDatabase(database);
    await drop();
  });
  return { database: () => database, url: () => url };
};

export const plentiful: AgentLimits = { steps: 100, calls: 100, tokens: 100_000, timeSeconds: 900 };

/** Writes a run that is under way, with the rows that a launch makes. */
export const insertRunningRun = async (database: Database, id: string, startedBy = 'admin'): Promise<RunKey> => {
  const key = { ...defaultTenancy, id };
  await insertRun(database, {
    ...key,
    fleet: 'survey',
    snapshot: { fleet: FleetSpecSchema.parse({ stages: [{ name: 'read', role: 'reader' }] }), roles: {}, models: {} },
    inputsDigest: 'none',
    volumes: [],
    outputDirectory: null,
    quality: 'standard',
    startedBy,
    launchDecisionId: 'dec_1',
  });
  await moveRun(database, key, ['starting'], 'running');
  return key;
};

/** Writes an agent of a run and begins it. @returns its id */
export const insertRunningAgent = async (
  database: Database,
  run: RunKey,
  ordinal = 0,
  limits: AgentLimits = plentiful,
): Promise<string> => {
  const { org, project, id: runId } = run;
  const place = { org, project, runId, stage: 'read', role: 'reader', ordinal };
  const id = agentIdOf({ ...place, fleet: 'survey' });
  await insertAgents(database, [{ ...place, id, inputDigest: 'none', assignedPaths: [], limits }]);
  await beginAgent(database, id);
  return id;
};
