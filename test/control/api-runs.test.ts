import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { getAgent } from '../../store/agents.ts';
import { findRun, moveRun } from '../../store/runs.ts';
import { beginRun, endRun, entries, head, tenancy } from '../support/play-run.ts';
import { guestToken, type RunningApi, startRunningApi } from '../support/running-api.ts';
import { fleet, model, wholeFleet } from '../support/sample-resources.ts';

let api: RunningApi;
let input: string;
beforeAll(async () => {
  api = await startRunningApi();
  await api.apply(...wholeFleet());
  input = join(mkdtempSync(join(tmpdir(), 'quarterdeck-input-')), 'input');
  mkdirSync(join(input, 'src'), { recursive: true });
  symlinkSync(input, `${input}-link`);
  writeFileSync(join(input, 'file.txt'), 'text');
});
afterAll(async () => {
  await api.close();
  rmSync(dirname(input), { recursive: true, force: true });
});
beforeEach(() => {
  Object.assign(api.temporal.state, { away: false, gone: false });
  api.refusals.clear();
});

const launch = (body: object = {}, token?: string) =>
  api.request('POST', '/default/default/runs', { body: { fleet: 'survey', inputs: { path: input }, ...body }, token });

const playRun = async (id: string, state: 'partial' | 'succeeded' = 'partial') => {
  const agents = await beginRun(api, id);
  await endRun(api, id, agents, { state });
  return agents;
};

test('launches a fleet: the row with its snapshot, then the workflow, and says how it goes', async () => {
  const { status, body } = await launch({ inputs: { path: `${input}-link`, topic: 'tests' } });
  expect(status).toBe(201);
  expect(body).toMatchObject({ fleet: 'survey', state: 'starting', startedBy: 'admin', quality: 'tiny', result: null, agents: [] });
  expect(body.stages).toEqual([
    { name: 'read', role: 'reader', agents: 0, pending: 0, running: 0, done: 0, parked: 0, failed: 0, cancelled: 0 },
  ]);
  expect(api.temporal.starts.at(-1)).toEqual({ ...tenancy, fleet: 'survey', runId: body.id, attempt: 1 });
  const run = await findRun(api.database, { ...tenancy, id: body.id });
  expect(run?.volumes).toEqual([
    { name: 'input', hostPath: input, mode: 'ro' },
    { name: 'output', hostPath: join(api.folder, 'runs', body.id, 'output'), mode: 'rw' },
  ]);
  expect(existsSync(body.outputDirectory)).toBe(true);
  expect(Object.keys(run?.snapshot.roles ?? {})).toEqual(['reader']);
  expect(Object.keys(run?.snapshot.models ?? {})).toEqual(['small']);
  expect(run?.launchDecisionId).toBe('dec_yes');
  expect(await api.contentStore.getJson(tenancy, run?.inputsDigest ?? '')).toEqual({ path: input, topic: 'tests' });
  const { body: audit } = await api.request('GET', `/default/default/audit?run=${body.id}`);
  expect(audit.events).toMatchObject([{ kind: 'change', action: 'launchFleet', fleet: 'survey', person: 'admin', decision: 'allow' }]);
});

test('launches though Temporal is away, and leaves the start to the sweep', async () => {
  api.temporal.state.away = true;
  const { status, body } = await launch();
  expect({ status, state: body.state }).toEqual({ status: 201, state: 'starting' });
});

test('labels a run by the worst of its models', async () => {
  await api.apply(model('small', { quality: 'standard' }));
  expect((await launch()).body.quality).toBe('standard');
  await api.apply(model());
});

test.each([
  [
    'a folder that does not exist',
    { inputs: { path: '/nowhere/at/all' } },
    'The input path: there is no folder /nowhere/at/all; give one that exists.',
  ],
  ['a path that is not absolute', { inputs: { path: 'src' } }, 'The input path: src is not an absolute path'],
  [
    'an input the fleet does not have',
    { inputs: { path: '/', color: 'red' } },
    'The fleet survey has no input color; its inputs are path, topic.',
  ],
  ['a missing input', { inputs: {} }, 'The fleet survey needs the input path; give it with `--input path=…`.'],
  ['a folder that holds the keys of the platform', { inputs: { path: '/' } }, 'with its keys'],
])('refuses %s', async (_what, body, detail) => {
  const refused = await launch(body);
  expect({ status: refused.status, code: refused.body.code }).toEqual({ status: 400, code: 'input_invalid' });
  expect(refused.body.detail).toContain(detail);
});

test('refuses a file for a folder, folders of the platform itself, and an output that lies in the input or around it', async () => {
  const detail = async (body: object): Promise<string> => (await launch(body)).body.detail;
  expect(await detail({ inputs: { path: join(input, 'file.txt') } })).toContain('is not a folder');
  mkdirSync(join(api.folder, 'keys'), { recursive: true });
  expect(await detail({ inputs: { path: join(api.folder, 'keys') } })).toContain('lies in the data folder');
  expect(await detail({ outputDirectory: join(api.folder, 'keys') })).toContain('lies in the data folder');
  expect(await detail({ outputDirectory: join(input, 'out') })).toContain('lie in one another');
  expect(await detail({ outputDirectory: `${input}-link/src/out` })).toContain('lie in one another');
  expect(existsSync(join(input, 'src', 'out'))).toBe(false);
  expect(await detail({ inputs: { path: join(input, 'src') }, outputDirectory: input })).toContain('lie in one another');
  expect(await detail({ outputDirectory: join(input, 'file.txt', 'out') })).toMatch(/lie in one another|cannot be made/);
  expect(await detail({ outputDirectory: 'relative' })).toContain('outputDirectory');
});

test('writes to the folder that is asked for', async () => {
  const outputDirectory = `${input}-output/new`;
  const { body } = await launch({ outputDirectory });
  expect(body.outputDirectory).toBe(outputDirectory);
  expect(existsSync(outputDirectory)).toBe(true);
});

test('refuses an unknown fleet, and whoever may not launch', async () => {
  expect((await launch({ fleet: 'nothing' })).body).toMatchObject({
    code: 'not_found',
    detail: expect.stringContaining('There is no fleet nothing'),
  });
  expect((await launch({ fleet: 'nothing' }, guestToken)).body.code).toBe('not_permitted');
  expect((await launch({}, guestToken)).body.code).toBe('not_permitted');
});

test('a later apply does not change a run', async () => {
  const { body } = await launch();
  await api.apply(fleet('survey', { stages: [{ name: 'other', role: 'reader' }] }));
  expect((await api.request('GET', `/default/default/runs/${body.id}`)).body.stages[0].name).toBe('read');
  await api.apply(fleet());
});

test('shows stages, agents and totals of a run, and lists runs newest first', async () => {
  const { body } = await launch();
  const { second } = await playRun(body.id);
  const shown = (await api.request('GET', `/default/default/runs/${body.id}`)).body;
  expect(shown.state).toBe('partial');
  expect(shown.stages[0]).toMatchObject({ agents: 2, done: 1, parked: 1, running: 0 });
  expect(shown.agents[1]).toMatchObject({ id: second, state: 'parked', reason: 'limit_steps', detail: 'It used 3 of 3 steps.' });
  const { runs } = (await api.request('GET', '/default/default/runs?limit=2')).body;
  expect(runs).toHaveLength(2);
  expect(runs[0]).toMatchObject({ id: body.id, state: 'partial' });
  expect(runs[0].agents).toBeUndefined();
});

test('cancels a run, again without harm, and not one that has ended', async () => {
  const { body } = await launch();
  const cancel = () => api.request('POST', `/default/default/runs/${body.id}/cancel`);
  expect(await cancel()).toMatchObject({ status: 202, body: { state: 'cancelling', reason: 'cancelled by admin' } });
  api.temporal.state.away = true;
  expect((await cancel()).status).toBe(202);
  expect(api.temporal.cancellations.filter(({ runId }) => runId === body.id)).toHaveLength(2);
  await moveRun(api.database, { ...tenancy, id: body.id }, ['cancelling'], 'cancelled');
  expect((await cancel()).body.code).toBe('run_ended');
  const { body: audit } = await api.request('GET', `/default/default/audit?run=${body.id}&action=cancelRun`);
  expect(audit.events).toHaveLength(1);
});

test('resumes the parked agents of a partial run with more of what they ran out of', async () => {
  const { body } = await launch();
  const { first, second } = await playRun(body.id);
  const resumed = await api.request('POST', `/default/default/runs/${body.id}/resume`, { body: { addSteps: 4 } });
  expect(resumed).toMatchObject({ status: 202, body: { state: 'starting' } });
  expect(api.temporal.starts.at(-1)).toMatchObject({ runId: body.id, attempt: 2 });
  expect((await getAgent(api.database, second)).limits.steps).toBe(7);
  expect((await getAgent(api.database, first)).state).toBe('done');
  const again = await api.request('POST', `/default/default/runs/${body.id}/resume`, { body: {} });
  expect(again.body).toMatchObject({ code: 'conflict', detail: expect.stringContaining('is starting') });
});

test('refuses to resume a run that succeeded, one without parked agents, and agents of another run', async () => {
  const succeeded = (await launch()).body.id;
  const { second } = await playRun(succeeded, 'succeeded');
  expect((await api.request('POST', `/default/default/runs/${succeeded}/resume`, { body: {} })).body.detail).toContain('is succeeded');
  const empty = (await launch()).body.id;
  await moveRun(api.database, { ...tenancy, id: empty }, ['starting'], 'failed');
  expect((await api.request('POST', `/default/default/runs/${empty}/resume`, { body: {} })).body.detail).toContain('has no parked agent');
  const stranger = await api.request('POST', `/default/default/runs/${empty}/resume`, { body: { agents: [second] } });
  expect(stranger.body).toMatchObject({ code: 'input_invalid', detail: expect.stringContaining(second) });
});

test('of two who resume at once one succeeds, and the limits grow once', async () => {
  const { body } = await launch();
  const { second } = await playRun(body.id);
  const resume = () => api.request('POST', `/default/default/runs/${body.id}/resume`, { body: { addSteps: 1 } });
  const answers = await Promise.all([resume(), resume()]);
  expect(answers.map(({ status }) => status).sort()).toEqual([202, 409]);
  expect((await getAgent(api.database, second)).limits.steps).toBe(4);
});

test('opens a transcript for who may read the audit, and records that', async () => {
  const { body } = await launch();
  const { first, second } = await playRun(body.id);
  const path = `/default/default/runs/${body.id}/agents`;
  expect((await api.request('GET', `${path}/${first}/transcript`)).body).toEqual({
    agentId: first,
    state: 'done',
    transcript: { head, entries },
  });
  expect((await api.request('GET', `${path}/read/reader/0/transcript`)).status).toBe(200);
  expect((await api.request('GET', `${path}/${second}/transcript`)).body.detail).toContain('has no transcript yet');
  expect((await api.request('GET', `${path}/read/reader/9/transcript`)).body.code).toBe('not_found');
  const { body: audit } = await api.request('GET', `/default/default/audit?run=${body.id}&action=readTranscript`);
  expect(audit.events).toHaveLength(2);
  api.refusals.add('readAudit');
  expect((await api.request('GET', `${path}/${first}/transcript`)).body.code).toBe('not_permitted');
});

test('answers ids that are none, and runs that are not there', async () => {
  expect((await api.request('GET', '/default/default/runs/nonsense')).body.code).toBe('request_invalid');
  expect((await api.request('GET', '/default/default/runs/run_0000000000000000')).body.code).toBe('not_found');
  expect((await api.request('POST', '/default/default/runs/run_0000000000000000/cancel')).body.code).toBe('not_found');
});

test('revokes a run: it is cancelled, its identity is gone for good, and that is on record once', async () => {
  const { body } = await launch();
  await beginRun(api, body.id);
  const place = `/default/default/runs/${body.id}`;
  const revoked = await api.request('POST', `${place}/revoke`);
  expect(revoked).toMatchObject({ status: 202, body: { state: 'cancelling', reason: 'revoked by admin', revokedAt: expect.any(String) } });
  expect(api.temporal.cancellations.at(-1)).toMatchObject({ runId: body.id });
  const cancellations = api.temporal.cancellations.length;
  expect((await api.request('POST', `${place}/revoke`)).body.revokedAt).toBe(revoked.body.revokedAt);
  expect(api.temporal.cancellations).toHaveLength(cancellations);
  const { body: audit } = await api.request('GET', `/default/default/audit?run=${body.id}&action=revokeRun`);
  expect(audit.events).toMatchObject([{ kind: 'change', person: 'admin', fleet: 'survey', facts: { cancelled: true } }]);
});

test('revokes a run that has ended: it is never resumed', async () => {
  const { body } = await launch();
  await playRun(body.id);
  const revoked = await api.request('POST', `/default/default/runs/${body.id}/revoke`);
  expect(revoked).toMatchObject({ status: 202, body: { state: 'partial', revokedAt: expect.any(String) } });
  const resumed = await api.request('POST', `/default/default/runs/${body.id}/resume`, { body: {} });
  expect(resumed).toMatchObject({ status: 409, body: { code: 'conflict', detail: expect.stringContaining('was revoked') } });
});

test('refuses to revoke a run for whoever may not manage its fleet', async () => {
  const { body } = await launch();
  const refused = await api.request('POST', `/default/default/runs/${body.id}/revoke`, { token: guestToken });
  expect(refused).toMatchObject({ status: 403, body: { code: 'not_permitted' } });
  expect((await findRun(api.database, { ...tenancy, id: body.id }))?.revokedAt).toBeNull();
});
