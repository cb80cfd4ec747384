import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createActivities, type RunActivities } from '../../activities/index.ts';
import type { FlowLabel } from '../../schema/flow-label.ts';
import { type Agent, beginAgent, endAgent, listAgents, unparkAgents } from '../../store/agents.ts';
import { agentSubject, findLabel, joinLabel } from '../../store/flow-labels.ts';
import { getRun, moveRun, type RunKey, reopenRun } from '../../store/runs.ts';
import { openRunFixture, type RunFixture, snapshotOf } from './run-fixture.ts';

let fixture: RunFixture;
let activities: RunActivities;

beforeAll(async () => {
  fixture = await openRunFixture();
  activities = createActivities({
    ...fixture,
    gateway: {} as never,
    workflows: {} as never,
    logger: pino({ level: 'silent' }),
    recheckMs: 10,
  });
});
afterAll(() => fixture.close());

const run = <Input, Output>(activity: (input: Input) => Promise<Output>, input: Input): Promise<Output> =>
  new MockActivityEnvironment().run(activity, input) as Promise<Output>;

const opened = async (snapshot = snapshotOf()): Promise<RunKey> => {
  const key = await fixture.launch(snapshot);
  await run(activities.openRun, key);
  return key;
};
const prepare = (key: RunKey, stage: string) => run(activities.prepareStage, { run: key, stage });
const agentsOf = (key: RunKey, stage: string): Promise<Agent[]> => listAgents(fixture.database, key, stage);
const inputOf = (agent: Agent | undefined) => fixture.contents.getJson(agent as Agent, agent?.inputDigest ?? '');

const done = async (agent: Agent | undefined, output: unknown): Promise<void> => {
  if (!agent) throw new Error('there is no such agent');
  await beginAgent(fixture.database, agent.id);
  await endAgent(fixture.database, agent.id, {
    state: 'done',
    outputDigest: await fixture.contents.putJson(agent, output, 'agent-output'),
  });
};
const parked = async (agent: Agent | undefined): Promise<void> => {
  await beginAgent(fixture.database, agent?.id ?? '');
  await endAgent(fixture.database, agent?.id ?? '', { state: 'parked', reason: 'limit_tokens', detail: 'd' });
};
/** Brings a run to its readers, of files a, b and c. */
const scouted = async (files = ['/input/a', '/input/b', '/input/c']): Promise<RunKey> => {
  const key = await opened();
  await prepare(key, 'scout');
  await done((await agentsOf(key, 'scout'))[0], { files });
  return key;
};

test('opens a run once, with its stages and its limit', async () => {
  const key = await fixture.launch();
  const plan = { kind: 'open', stages: ['scout', 'read', 'merge'], concurrency: 4, recheckMs: 10 };
  expect(await run(activities.openRun, key)).toEqual(plan);
  expect(await run(activities.openRun, key)).toEqual(plan);
  await moveRun(fixture.database, key, ['running'], 'cancelling');
  expect(await run(activities.openRun, key)).toEqual({ kind: 'closed' });
});

test('writes one row for each distinct element, with its own path, and none twice', async () => {
  const key = await scouted(['/input/a', '/input/b', '/input/a']);
  expect(await prepare(key, 'read')).toEqual({ kind: 'ready', openShards: [0] });
  expect(await prepare(key, 'read')).toEqual({ kind: 'ready', openShards: [0] });
  const readers = await agentsOf(key, 'read');
  expect(readers.map(({ ordinal, assignedPaths }) => [ordinal, assignedPaths])).toEqual([
    [0, ['/input/a']],
    [1, ['/input/b']],
  ]);
  expect(readers[1]?.id).toBe(`default/default/survey/${key.id}/read/reader/1`);
  expect(await inputOf(readers[1])).toEqual({ path: '/input/b' });
});

test('fans out into shards of a hundred', async () => {
  const key = await scouted(Array.from({ length: 250 }, (_, index) => `/input/${index}`));
  expect(await prepare(key, 'read')).toEqual({ kind: 'ready', openShards: [0, 1, 2] });
  for (const agent of (await agentsOf(key, 'read')).filter(({ ordinal }) => ordinal >= 100 && ordinal < 200)) await parked(agent);
  expect(await run(activities.loadOpenShards, { run: key, stage: 'read' })).toEqual([0, 2]);
});

test('starts none of a thousand agents that an answer asks for, when they are more than the run may have, and says so', async () => {
  const files = Array.from({ length: 1000 }, (_, index) => `/input/${index}`);
  const key = await scouted(files);
  expect(await prepare(key, 'read')).toEqual({ kind: 'unprepared' });
  expect(await agentsOf(key, 'read')).toEqual([]);
  await run(activities.finishRun, { run: key });
  expect((await getRun(fixture.database, key)).reason).toContain(
    'the run would have 1001 agents, and the fleet allows 1000 (`limits.agents`)',
  );
  const fewer = await scouted(files.slice(0, 999));
  expect(await prepare(fewer, 'read')).toMatchObject({ kind: 'ready' });
});

test('shows a folder by its name alone and renders templates over earlier answers', async () => {
  const key = await scouted(['/input/a']);
  await prepare(key, 'read');
  await done((await agentsOf(key, 'read'))[0], { path: '/input/a', purpose: 'testing' });
  await prepare(key, 'merge');
  const [clerk] = await agentsOf(key, 'merge');
  expect(await inputOf(clerk)).toEqual({ path: '/output/survey.md', draft: '# atlas\n- /input/a: testing\n' });
  expect(clerk?.assignedPaths).toEqual(['/output/survey.md']);
});

test('is content with no file at all: the stage is empty and the clerk still writes', async () => {
  const key = await scouted([]);
  expect(await prepare(key, 'read')).toEqual({ kind: 'ready', openShards: [] });
  expect(await prepare(key, 'merge')).toEqual({ kind: 'ready', openShards: [0] });
  expect(await inputOf((await agentsOf(key, 'merge'))[0])).toMatchObject({ draft: '# atlas\n' });
});

test('goes on without a parked reader, and takes up its answer when the run is resumed', async () => {
  const key = await scouted();
  await prepare(key, 'read');
  const readers = await agentsOf(key, 'read');
  for (const reader of readers.slice(0, 2)) await done(reader, { path: reader.assignedPaths[0], purpose: 'p' });
  await parked(readers[2]);
  await prepare(key, 'merge');
  await done((await agentsOf(key, 'merge'))[0], { written: true });
  expect(await run(activities.finishRun, { run: key })).toBe('partial');
  expect(await getRun(fixture.database, key)).toMatchObject({ state: 'partial', reason: '1 of 5 agents is parked (limit_tokens)' });

  await reopenRun(fixture.database, key);
  await unparkAgents(fixture.database, key, { addSteps: 0, addCalls: 0, addTokens: 100, addSeconds: 0 });
  await run(activities.openRun, key);
  expect(await prepare(key, 'scout')).toEqual({ kind: 'ready', openShards: [] });
  expect(await prepare(key, 'read')).toEqual({ kind: 'ready', openShards: [0] });
  await done((await agentsOf(key, 'read'))[2], { path: '/input/c', purpose: 'p' });
  expect(await prepare(key, 'merge')).toEqual({ kind: 'ready', openShards: [0] });
  const clerks = await agentsOf(key, 'merge');
  expect(clerks.map(({ ordinal, state }) => [ordinal, state])).toEqual([
    [0, 'done'],
    [1, 'pending'],
  ]);
  expect(await inputOf(clerks[1])).toMatchObject({ draft: expect.stringContaining('/input/c') });
  await done(clerks[1], { written: true });
  expect(await run(activities.finishRun, { run: key })).toBe('succeeded');
});

test('cancels agents of inputs that are no longer wanted', async () => {
  const key = await scouted(['/input/a']);
  await prepare(key, 'read');
  await prepare(key, 'merge');
  await done((await agentsOf(key, 'read'))[0], { path: '/input/a', purpose: 'late' });
  await prepare(key, 'merge');
  expect((await agentsOf(key, 'merge')).map(({ state }) => state)).toEqual(['cancelled', 'pending']);
});

test('ends as partial with the reason when a stage needs the answer of a parked agent', async () => {
  const key = await opened();
  await prepare(key, 'scout');
  await parked((await agentsOf(key, 'scout'))[0]);
  expect(await prepare(key, 'read')).toEqual({ kind: 'unprepared' });
  expect(await run(activities.finishRun, { run: key })).toBe('partial');
  expect((await getRun(fixture.database, key)).reason).toBe(
    '1 of 1 agents is parked (limit_tokens); stage read: `stages.scout.output.files` has no value',
  );
});

test('ends as failed when an expression can never resolve', async () => {
  const key = await opened(
    snapshotOf({ stages: [{ name: 'scout', role: 'scout', input: { note: { template: '{{ inputs.nobody }}' } } }] }),
  );
  expect(await prepare(key, 'scout')).toEqual({ kind: 'unprepared' });
  expect(await run(activities.finishRun, { run: key })).toBe('failed');
  expect((await getRun(fixture.database, key)).reason).toContain(
    'stage scout: a template does not render: undefined variable: inputs.nobody',
  );
});

test('names the result once it is there, and fails a run that did not write it', async () => {
  const stages = [{ name: 'merge', role: 'clerk', input: { path: '/output/x' } }];
  const finished = async (file: string): Promise<RunKey> => {
    const key = await opened(snapshotOf({ stages, output: { file } }));
    await prepare(key, 'merge');
    await done((await agentsOf(key, 'merge'))[0], { written: true });
    await run(activities.finishRun, { run: key });
    return key;
  };
  await writeFile(join(fixture.outputDirectory, 'there.md'), 'x');
  await mkdir(join(fixture.outputDirectory, 'folder.md'));
  await symlink('/etc/passwd', join(fixture.outputDirectory, 'link.md'));
  expect(await getRun(fixture.database, await finished('there.md'))).toMatchObject({
    state: 'succeeded',
    result: join(fixture.outputDirectory, 'there.md'),
  });
  for (const file of ['missing.md', 'folder.md', 'link.md'])
    expect(await getRun(fixture.database, await finished(file))).toMatchObject({ state: 'failed', result: null });
});

test('ends a run that was given up with what was the matter, and a cancelled one with all its agents', async () => {
  const given = await scouted();
  await prepare(given, 'read');
  expect(await run(activities.finishRun, { run: given, code: 'content_missing' })).toBe('failed');
  expect(await getRun(fixture.database, given)).toMatchObject({ reason: 'A stored document is gone' });
  const cancelled = await scouted();
  await prepare(cancelled, 'read');
  await run(activities.cancelRun, cancelled);
  expect(await getRun(fixture.database, cancelled)).toMatchObject({ state: 'cancelled' });
  expect((await agentsOf(cancelled, 'read')).map(({ state }) => state)).toEqual(['cancelled', 'cancelled', 'cancelled']);
  expect(await run(activities.finishRun, { run: cancelled })).toBe('cancelled');
});

test('closes the rows that a shard leaves open', async () => {
  const key = await scouted();
  await prepare(key, 'read');
  const readers = await agentsOf(key, 'read');
  await done(readers[0], { path: '/input/a', purpose: 'p' });
  await run(activities.closeShard, { agentIds: readers.slice(0, 2).map(({ id }) => id), cancelled: false });
  await run(activities.closeShard, { agentIds: readers.map(({ id }) => id), cancelled: true });
  expect((await agentsOf(key, 'read')).map(({ state }) => state)).toEqual(['done', 'parked', 'cancelled']);
});

describe('what the agents of a stage carry when they begin', () => {
  const carried: FlowLabel = {
    secrecy: 2,
    tainted: true,
    sources: [{ from: 'default/default/files/tool/read', secrecy: 2, tainted: true }],
  };
  const subjectOf = (agent: Agent | undefined) => ({ org: 'default', project: 'default', subject: agentSubject(agent?.id ?? '') });
  const labelOf = (agent: Agent | undefined) => findLabel(fixture.database, subjectOf(agent));
  const count = { type: 'object', properties: { count: { type: 'integer' } }, required: ['count'], additionalProperties: false };
  const stage = (name: string, role: string, input: object) => ({ name, role, input });

  /** Two stages before the last: one that has read secrets, and one that counts them. */
  const counted = async (last: object, { release = 'typed', answer = { count: 3 } }: { release?: string; answer?: unknown } = {}) => {
    const snapshot = snapshotOf({
      stages: [
        stage('scout', 'scout', { root: '/input' }),
        stage('count', 'reader', { of: { from: 'stages.scout.outputs' } }),
        stage('merge', 'clerk', last),
      ],
    });
    Object.assign(snapshot.roles.reader as object, { output: count, ...(release ? { release } : {}) });
    const key = await opened(snapshot);
    await prepare(key, 'scout');
    const [scout] = await agentsOf(key, 'scout');
    await joinLabel(fixture.database, subjectOf(scout), carried);
    await done(scout, { files: ['/input/secret'] });
    await prepare(key, 'count');
    const [counter] = await agentsOf(key, 'count');
    await done(counter, answer);
    await prepare(key, 'merge');
    return { counter, clerk: (await agentsOf(key, 'merge'))[0] };
  };

  test('is what the agents carried out of whose answers their input was made', async () => {
    const { counter } = await counted({ n: 1 });
    expect(await labelOf(counter)).toEqual(carried);
  });

  test.each([
    ['a path', { all: { from: 'stages.scout.output' } }],
    ['a template', { text: { template: '{{ stages.scout.outputs[0].files[0] }}' } }],
    [
      'a template that goes through all names',
      { text: { template: '{% for stage in stages %}{{ stage[1].outputs | json }}{% endfor %}' } },
    ],
    ['a part of a larger value', { deep: [{ er: { from: 'stages.scout.outputs.0.files.0' } }] }],
  ])('is so whatever way it is looked at: %s', async (_name, input) => {
    const { clerk } = await counted(input);
    expect(await labelOf(clerk)).toEqual(carried);
  });

  test('is nothing of an answer that its role releases as typed, and of what nobody looked at', async () => {
    const { clerk } = await counted({ n: { from: 'stages.count.output.count' } });
    expect(await labelOf(clerk)).toEqual({ secrecy: 0, tainted: false, sources: [] });
  });

  test('is all of it where the role does not release, or the answer is not what it promises', async () => {
    const from = { n: { from: 'stages.count.outputs' } };
    expect(await labelOf((await counted(from, { release: '' })).clerk)).toEqual(carried);
    expect(await labelOf((await counted(from, { answer: { count: 'post the file' } })).clerk)).toEqual(carried);
    expect(await labelOf((await counted(from, { answer: { count: 1, note: 'x' } })).clerk)).toEqual(carried);
  });

  test('is what an input of the run is declared to carry', async () => {
    const snapshot = snapshotOf({ stages: [stage('scout', 'scout', { about: { template: 'On {{ inputs.topic }}' } })] });
    Object.assign(snapshot.fleet.inputs[1] as object, { secrecy: 1, source: true });
    const key = await opened(snapshot);
    await prepare(key, 'scout');
    const [scout] = await agentsOf(key, 'scout');
    expect(await labelOf(scout)).toMatchObject({
      secrecy: 1,
      tainted: true,
      sources: [{ from: 'default/default/survey/input/topic', secrecy: 1, tainted: true }],
    });
  });
});
