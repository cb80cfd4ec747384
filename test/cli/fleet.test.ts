import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { listRuns, moveRun } from '../../store/runs.ts';
import { beginRun, endRun, entries, head, tenancy } from '../support/play-run.ts';
import { type CliOptions, runCli, startCli } from '../support/run-cli.ts';
import { adminToken, type RunningApi, startRunningApi } from '../support/running-api.ts';
import { wholeFleet } from '../support/sample-resources.ts';

let api: RunningApi;
let folder: string;
beforeAll(async () => {
  api = await startRunningApi();
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-cli-'));
  mkdirSync(join(folder, 'src'));
  await api.apply(...wholeFleet());
});
afterAll(async () => {
  await api.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  await api.database.$client.query('delete from runs');
});

const place = ({ env, ...options }: CliOptions = {}): CliOptions => ({
  cwd: folder,
  env: { QUARTERDECK_URL: api.url, QUARTERDECK_TOKEN: adminToken, ...env },
  ...options,
});
const qd = (args: string[], options?: CliOptions) => runCli(args, place(options));

/** The run that a command has just launched. */
const launched = (): Promise<string> =>
  vi.waitFor(
    async () => {
      const [run] = await listRuns(api.database, tenancy);
      if (!run) throw new Error('nothing was launched yet');
      return run.id;
    },
    { timeout: 20_000, interval: 50 },
  );
const said = (command: ReturnType<typeof startCli>, text: string | RegExp) =>
  vi.waitFor(() => expect(command.text.stderr).toMatch(text), { timeout: 20_000, interval: 50 });

test('runs a fleet with plain lines in a pipe, and prints where the result is', async () => {
  const command = startCli(['fleet', 'run', 'survey', '--input', 'path=src', '--output', 'out'], place());
  const id = await launched();
  await said(command, `Launched survey as ${id}.`);
  const agents = await beginRun(api, id);
  await said(command, /^\[\d+ m?s\] run run_\w+ of survey: running$/m);
  await said(command, /^\[.*\] read: 0 of 2 done, 2 running; 0 calls, 0 refused, 0 \+ 0 tokens, \$0$/m);
  await endRun(api, id, agents, { state: 'partial', result: join(folder, 'out', 'survey.md') });
  const { code, stdout, stderr } = await command.ended;
  expect(code).toBe(7);
  expect(stdout).toBe(`${join(folder, 'out', 'survey.md')}\n`);
  expect(stderr).toMatch(/^\[.*\] read\/reader\/1 parked \(limit_steps\): It used 3 of 3 steps\.$/m);
  expect(stderr).toContain('A tiny model made this');
  expect(stderr).toContain(`quarterdeck fleet resume ${id} --add-steps 10 --watch`);
  const [run] = await listRuns(api.database, tenancy);
  expect(run?.volumes[0]?.hostPath).toBe(join(folder, 'src'));
});

test.each([
  ['succeeded', 0],
  ['failed', 1],
  ['cancelled', 130],
] as const)('ends with the code of a run that %s', async (state, code) => {
  const command = startCli(['fleet', 'run', 'survey', '--input', 'path=src', '--no-watch', '-o', 'json'], place());
  const id = await launched();
  await endRun(api, id, await beginRun(api, id), { state });
  const result = await command.ended;
  expect(result.code).toBe(code);
  expect(JSON.parse(result.stdout)).toMatchObject({ id, state });
  expect(result.stderr).not.toContain('running');
});

test('knows the folder from which npm was called, and the home folder', async () => {
  const { code } = await qd(['fleet', 'run', 'survey', '-i', 'path=./src', '--detach'], { cwd: '/', env: { INIT_CWD: folder } });
  expect(code).toBe(0);
  await qd(['fleet', 'run', 'survey', '-i', 'path=~/src', '--detach'], { cwd: '/', env: { HOME: folder } });
  const runs = await listRuns(api.database, tenancy);
  expect(runs.map(({ volumes }) => volumes[0]?.hostPath)).toEqual([join(folder, 'src'), join(folder, 'src')]);
});

test('goes on by itself when it is detached', async () => {
  const { code, stdout, stderr } = await qd(['fleet', 'run', 'survey', '-i', 'path=src', '-d']);
  expect({ code, stdout }).toEqual({ code: 0, stdout: `${await launched()}\n` });
  expect(stderr).toContain('quarterdeck run watch run_');
});

test('says how to go on when the waiting is interrupted, and leaves the run alone', async () => {
  const command = startCli(['fleet', 'run', 'survey', '-i', 'path=src'], place());
  const id = await launched();
  await beginRun(api, id);
  await said(command, 'running');
  command.child.kill('SIGINT');
  const { code, stderr } = await command.ended;
  expect(code).toBe(130);
  expect(stderr).toContain(
    `Error: The waiting was interrupted; run ${id} goes on. Next: watch it with \`quarterdeck run watch ${id}\`, or cancel it with \`quarterdeck fleet cancel ${id}\``,
  );
  expect((await listRuns(api.database, tenancy))[0]?.state).toBe('running');
});

test('waits through a restart of the api', async () => {
  const command = startCli(['fleet', 'run', 'survey', '-i', 'path=src'], place());
  const id = await launched();
  const agents = await beginRun(api, id);
  await said(command, 'running');
  await api.restart(() => said(command, 'The platform does not answer at the moment'));
  await endRun(api, id, agents, { state: 'succeeded' });
  expect((await command.ended).code).toBe(0);
});

test.each([
  [
    ['fleet', 'run', 'survey', '-i', 'path=nowhere'],
    1,
    /^Error: The input path: there is no folder .*\/nowhere; give one that exists\.\n$/,
  ],
  [['fleet', 'run', 'survey'], 1, /^Error: The fleet survey needs the input path; give it with `--input path=…`\.\n$/],
  [
    ['fleet', 'run', 'survey', '-i', 'path=src', '-i', 'color=red'],
    1,
    /^Error: The fleet survey has no input color; its inputs are path, topic\.\n$/,
  ],
  [['fleet', 'run', 'survey', '-i', 'path'], 2, /^Error: --input path is not name=value/],
  [['fleet', 'run', 'survey', '-i', 'path=a', '-i', 'path=b'], 2, /^Error: --input path is given twice/],
  [['fleet', 'run', 'nothing'], 1, /^Error: There is no Fleet nothing in default\/default; `quarterdeck get fleet` lists them\.\n$/],
  [['fleet', 'run', 'survey', '-i', 'path=src', '--output', 'src/out'], 1, /lie in one another/],
  [['fleet', 'show', 'nonsense'], 1, /^Error: The run id is not as expected/],
  [['fleet', 'cancel', 'run_0000000000000000'], 1, /^Error: There is no run run_0000000000000000/],
  [['fleet', 'resume', 'run_0000000000000000', '--add-steps', 'some'], 2, /^Error: --add-steps some is not a whole number/],
  [['run', 'show', 'run_0000000000000000', '--transcript'], 2, /^Error: Say whose transcript/],
])('refuses %j and launches nothing', async (args, code, message) => {
  const result = await qd(args);
  expect(result.stderr).toMatch(message);
  expect(result.code).toBe(code);
  expect(await listRuns(api.database, tenancy)).toEqual([]);
});

test('lists, shows, cancels and resumes runs', async () => {
  expect((await qd(['fleet', 'ls'])).stderr).toContain('No fleet has run in default/default');
  await qd(['fleet', 'run', 'survey', '-i', 'path=src', '-d']);
  const id = await launched();
  await endRun(api, id, await beginRun(api, id), { state: 'partial' });
  const list = await qd(['run', 'ls']);
  expect(list.stdout).toMatch(new RegExp(`^RUN +FLEET +STATE +QUALITY +BY +AGE +TOOK +RESULT\n${id} +survey +partial +tiny +admin `));
  const shown = await qd(['fleet', 'show', id]);
  expect(shown.stdout).toContain('  read (reader): 1 of 2 done, 1 parked');
  expect(shown.stdout).toMatch(/^read\/reader\/1 +parked +limit_steps/m);
  expect(JSON.parse((await qd(['run', 'show', id, '--agent', 'read/reader/1', '-o', 'json'])).stdout).agents).toHaveLength(1);
  const transcript = await qd(['run', 'show', id, '--agent', 'read/reader/0', '--transcript']);
  expect(transcript.stdout).toContain(
    'calls read {"path":"/input/a.ts"}\n\nresult: ok\n  line 1\n  line \\u001b[2J2\n\nanswer\n  {"purpose":"test"}\n',
  );
  const json = await qd(['run', 'show', id, '--agent', 'read/reader/0', '--transcript', '-o', 'json']);
  expect(JSON.parse(json.stdout).transcript).toEqual({ head, entries });
  expect((await qd(['fleet', 'cancel', id])).stderr).toContain('has ended as partial');
  const resumed = await qd(['fleet', 'resume', id, '--add-steps', '5', '--agent', 'read/reader/1']);
  expect(resumed).toMatchObject({ code: 0, stdout: `${id} starting\n` });
  expect((await qd(['fleet', 'cancel', id])).stdout).toBe(`${id} cancelling\n`);
});

test('a cancellation that is waited for is a success', async () => {
  await qd(['fleet', 'run', 'survey', '-i', 'path=src', '-d']);
  const id = await launched();
  const command = startCli(['fleet', 'cancel', id, '--wait'], place());
  await said(command, 'cancelling');
  await moveRun(api.database, { ...tenancy, id }, ['cancelling'], 'cancelled', 'cancelled by admin');
  expect((await command.ended).code).toBe(0);
});
