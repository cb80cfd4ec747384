import { expect, test } from 'vitest';
import {
  beginAgent,
  endAgent,
  findAgentWithRun,
  getAgent,
  insertAgents,
  listAgents,
  setTranscript,
  unparkAgents,
} from '../../store/agents.ts';
import { cancelOpenAgents, getRun, listOpenRuns, listStaleRuns, moveRun, reopenRun } from '../../store/runs.ts';
import { insertRunningAgent, insertRunningRun, plentiful, useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();

test('moves a run only from the states that are named', async () => {
  const key = await insertRunningRun(database(), 'run_0000000000000001');
  expect(await moveRun(database(), key, ['starting'], 'failed')).toBe(false);
  expect(await moveRun(database(), key, ['running'], 'partial', 'two were parked')).toBe(true);
  expect(await getRun(database(), key)).toMatchObject({ state: 'partial', reason: 'two were parked', endedAt: expect.any(Date) });
  expect((await listOpenRuns(database())).map(({ id }) => id)).not.toContain(key.id);
});

test('reopens a run that ended with parked agents, for one more attempt, and no other', async () => {
  const key = await insertRunningRun(database(), 'run_0000000000000002');
  expect(await reopenRun(database(), key)).toBe(false);
  await moveRun(database(), key, ['running'], 'partial');
  expect(await reopenRun(database(), key)).toBe(true);
  expect(await getRun(database(), key)).toMatchObject({ state: 'starting', attempt: 2, endedAt: null });
});

test('finds runs whose start may be lost, once they have waited long enough', async () => {
  const key = await insertRunningRun(database(), 'run_0000000000000003');
  await moveRun(database(), key, ['running'], 'cancelling');
  const ids = async (before: Date) => (await listStaleRuns(database(), before)).map(({ id }) => id);
  expect(await ids(new Date(Date.now() - 60_000))).not.toContain(key.id);
  expect(await ids(new Date(Date.now() + 60_000))).toContain(key.id);
});

test('a retry adds no agent, begins none anew and changes no end', async () => {
  const key = await insertRunningRun(database(), 'run_0000000000000004');
  const id = await insertRunningAgent(database(), key);
  const { deadlineAt } = await getAgent(database(), id);
  expect(await insertRunningAgent(database(), key)).toBe(id);
  expect((await beginAgent(database(), id)).deadlineAt).toEqual(deadlineAt);
  await endAgent(database(), id, { state: 'done', outputDigest: 'first' });
  await endAgent(database(), id, { state: 'failed', reason: 'model_failed', detail: 'late' });
  await setTranscript(database(), id, 'late');
  expect(await beginAgent(database(), id)).toMatchObject({ state: 'done', outputDigest: 'first', reason: null, transcriptDigest: null });
});

test('gives parked agents more of what they ran out of, and leaves the others', async () => {
  const key = await insertRunningRun(database(), 'run_0000000000000005');
  const [parked, done] = [await insertRunningAgent(database(), key, 0), await insertRunningAgent(database(), key, 1)];
  await endAgent(database(), parked, { state: 'parked', reason: 'limit_steps', detail: 'all used' });
  await endAgent(database(), done, { state: 'done', outputDigest: 'x' });
  expect(await unparkAgents(database(), key, { addSteps: 5, addCalls: 0, addTokens: 1000, addSeconds: 60 })).toBe(1);
  expect(await getAgent(database(), parked)).toMatchObject({
    state: 'pending',
    reason: null,
    deadlineAt: null,
    limits: { ...plentiful, steps: 105, tokens: 101_000, timeSeconds: 960 },
  });
  expect((await getAgent(database(), done)).state).toBe('done');
});

test('ends what is open of a cancelled run, and nothing of another', async () => {
  const [mine, other] = [
    await insertRunningRun(database(), 'run_0000000000000006'),
    await insertRunningRun(database(), 'run_0000000000000007'),
  ];
  await insertRunningAgent(database(), mine);
  await insertRunningAgent(database(), other);
  await cancelOpenAgents(database(), mine);
  expect((await listAgents(database(), mine)).map(({ state }) => state)).toEqual(['cancelled']);
  expect((await listAgents(database(), other)).map(({ state }) => state)).toEqual(['running']);
});

test('finds an agent with its run, and none for an id that nobody made', async () => {
  const key = await insertRunningRun(database(), 'run_0000000000000008');
  const id = await insertRunningAgent(database(), key);
  expect(await findAgentWithRun(database(), id)).toMatchObject({ agent: { id }, run: { id: key.id, startedBy: 'admin' } });
  expect(await findAgentWithRun(database(), `${id}0`)).toBeUndefined();
  await expect(getAgent(database(), 'nobody')).rejects.toMatchObject({ code: 'not_found' });
  await insertAgents(database(), []);
});
