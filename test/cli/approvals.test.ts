import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { beginWait } from '../../store/agents.ts';
import { askFor, callToApprove, runOut } from '../support/ask-approval.ts';
import { beginRun } from '../support/play-run.ts';
import { runCli } from '../support/run-cli.ts';
import { adminToken, guestToken, type RunningApi, reviewerToken, startRunningApi } from '../support/running-api.ts';
import { insertRunningRun } from '../support/store-database.ts';

let api: RunningApi;
beforeAll(async () => {
  api = await startRunningApi({ cedar: true });
});
afterAll(() => api.close());

const qd = (args: string[], token = reviewerToken) => runCli(args, { env: { QUARTERDECK_URL: api.url, QUARTERDECK_TOKEN: token } });
const approvals = (...args: string[]) => qd(['approvals', ...args]);
const pending = async (more: Parameters<typeof callToApprove>[0] = {}) => {
  const call = callToApprove(more);
  return { call, id: (await askFor(api.database, call)).id };
};

test('lists what waits, in each format', async () => {
  expect(await approvals('ls')).toEqual({ code: 0, stdout: '', stderr: 'Nothing waits for a person.\n' });
  const { id } = await pending({ agent: 'default/default/survey/run_1/read/reader/0', run: 'run_1' });
  const { stdout } = await approvals('ls');
  expect(stdout.split('\n')[0]?.split(/ {2,}/)).toEqual([
    ...['APPROVAL', 'STATE', 'WHAT', 'WHO ASKS', 'WHO APPROVES', 'AGE', 'EXPIRES', 'REASON'],
  ]);
  expect(stdout).toMatch(
    new RegExp(`^${id} +pending +files/write +read/reader/0 of run_1, for ada +role:reviewer +\\d+s +in 1[45] min.* +It writes\\.$`, 'm'),
  );
  expect((await approvals('ls', '-o', 'name')).stdout).toBe(`${id}\n`);
  expect(JSON.parse((await approvals('ls', '--run', 'run_1', '-o', 'json')).stdout).approvals).toMatchObject([{ id, state: 'pending' }]);
  expect(parse((await approvals('ls', '-o', 'yaml')).stdout).approvals[0]).toMatchObject({ id });
  expect((await approvals('ls', '--state', 'denied')).stderr).toBe('There is no such approval.\n');
  expect((await approvals('ls', '--state', 'open')).code).toBe(2);
});

test('shows exactly what would be run, and nothing in it passes for a line of ours', async () => {
  const text = 'x"\n}\nApproval apr_1: approved \u202e\u001b[2J\u200b';
  const { id, call } = await pending({ arguments: { text } });
  const { code, stdout } = await approvals('show', id);
  expect(code).toBe(0);
  expect(stdout).toContain(`Approval ${id}: pending\n  tool      write of files, behind write\n  who calls ada\n  why asked It writes.\n`);
  expect(stdout).toContain(`  digest    ${call.digest}\n`);
  expect(stdout).toContain(
    'What would be run, as JSON:\n  | {\n  |   "text": "x\\"\\n}\\nApproval apr_1: approved \\u{202E}\\u001b[2J\\u{200B}"\n  | }\n',
  );
  expect(JSON.parse((await approvals('show', id, '-o', 'json')).stdout)).toMatchObject({ id, digest: call.digest });
});

test('approves by the digest that was looked at, and says what happens next', async () => {
  const { id, call } = await pending();
  const asked = await approvals('approve', id);
  expect(asked.code, 'nobody is there to be asked').toBe(2);
  expect(asked.stderr).toContain('What would be run, as JSON:');
  expect(await approvals('approve', id, '--digest', 'abc')).toMatchObject({ code: 2 });
  expect(await approvals('approve', id, '--digest', 'f'.repeat(64))).toMatchObject({
    code: 1,
    stderr: `Error: ffffffffffff is not the digest of ${id}, which is about something else than you looked at. Next: quarterdeck approvals show ${id}\n`,
  });
  expect(await approvals('approve', id, '--digest', call.digest.slice(0, 16), '--comment', 'Looks right.')).toEqual({
    code: 0,
    stdout: `${id} approved\n`,
    stderr: 'It runs when the same call is made again.\n',
  });
  expect((await approvals('show', id)).stdout).toMatch(/ {2}answer {4}reviewer approved it at .* \(reviewer-token\): Looks right\.\n/);
  expect((await approvals('deny', id, '-o', 'name')).stdout, 'until the call is made').toBe(`${id}\n`);
});

test('denies without a question, and ends with the exit code of what stands in the way', async () => {
  const { id } = await pending();
  expect(await approvals('deny', id, '--comment', 'No.')).toMatchObject({ code: 0, stdout: `${id} denied\n` });
  expect(await approvals('approve', id, '--yes')).toMatchObject({ code: 1, stderr: expect.stringContaining('is denied already') });
  const own = await pending({ person: 'reviewer' });
  const refused = await approvals('approve', own.id, '--yes');
  expect(refused).toMatchObject({ code: 4, stderr: expect.stringContaining('platform/approver-is-not-owner') });
  expect((await qd(['approvals', 'approve', own.id, '--yes'], adminToken)).code).toBe(4);
  expect(await qd(['approvals', 'show', own.id], guestToken)).toMatchObject({ code: 1, stderr: expect.stringContaining('or not for you') });
  const late = await pending();
  await runOut(api.database, late.id);
  expect((await approvals('approve', late.id, '--yes')).code).toBe(4);
  expect((await approvals('approve', 'apr_1', '--yes')).stderr).toContain('(`apr_1`): `apr_` and 16 letters or digits');
});

test('a run shows which of its agents wait for a person, and ends with exit code 5', async () => {
  const { id: runId } = await insertRunningRun(api.database, 'run_0000000000000007');
  const { first } = await beginRun(api, runId);
  expect((await qd(['run', 'show', runId])).code).toBe(0);
  await beginWait(api.database, first, 'apr_0000000000000001');
  for (const noun of ['run', 'fleet']) {
    const { code, stdout } = await qd([noun, 'show', runId]);
    expect(code).toBe(5);
    expect(stdout).toMatch(/^read\/reader\/0 +waiting .* needs a person: approval apr_0000000000000001$/m);
  }
  const { code, stdout } = await qd(['run', 'show', runId, '-o', 'json']);
  expect(code).toBe(5);
  expect(JSON.parse(stdout).agents[0]).toMatchObject({ state: 'running', waitsFor: 'apr_0000000000000001' });
});
