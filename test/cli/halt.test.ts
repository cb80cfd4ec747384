import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../support/run-cli.ts';
import { adminToken, guestToken, type RunningApi, reviewerToken, startRunningApi } from '../support/running-api.ts';

let api: RunningApi;
beforeAll(async () => {
  api = await startRunningApi({ cedar: true });
});
afterAll(() => api.close());

const qd = (args: string[], token = adminToken) => runCli(args, { env: { QUARTERDECK_URL: api.url, QUARTERDECK_TOKEN: token } });

test('halts, lists and lifts in the words of the scopes, with the reason', async () => {
  expect(await qd(['halt', 'server', 'files', '--reason', 'leaks'], reviewerToken)).toMatchObject({
    code: 0,
    stdout: 'server/files of default/default: halted; nothing new starts, and what runs is cut within two seconds\n',
    stderr: expect.stringMatching(
      /^No McpServer files is declared in default\/default\..*`quarterdeck halt --lift server files` takes this back\.\n$/,
    ),
  });
  expect((await qd(['halt', 'run/run_0123456789abcdef'])).code).toBe(0);
  expect((await qd(['halt'])).stdout).toContain('org of default/default: halted');
  const { stdout } = await qd(['halt', 'ls']);
  expect(stdout).toMatch(
    /^HALTED +BY +SINCE +REASON\nserver\/files +reviewer +.* ago +leaks\nrun\/run_0123456789abcdef +admin .*\norg +admin /m,
  );
  expect((await qd(['halt', 'ls', '-o', 'name'])).stdout).toBe('server/files\nrun/run_0123456789abcdef\norg\n');
  expect(JSON.parse((await qd(['halt', 'ls', '-o', 'json'])).stdout).halts).toHaveLength(3);
  for (const scope of [[], ['server', 'files'], ['run', 'run_0123456789abcdef']])
    expect((await qd(['halt', '--lift', ...scope])).stdout).toContain('lifted');
  expect((await qd(['halt', 'ls'])).stderr).toContain('Nothing is halted in default/default.');
});

test('whoever may not is told so, and what cannot be halted is refused', async () => {
  expect((await qd(['halt', 'server', 'files'], guestToken)).code).toBe(4);
  expect((await qd(['halt', 'planet', 'mars'])).code).toBe(2);
  expect((await qd(['halt', '--lift', 'server', 'files'])).code).toBe(1);
  await qd(['halt', 'server', 'files']);
  expect((await qd(['halt', '--lift', 'server', 'files'], reviewerToken)).code).toBe(4);
});
