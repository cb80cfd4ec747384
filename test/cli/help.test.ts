import { expect, test } from 'vitest';
import { commandTable } from '../../cli/commands/command-table.ts';
import { runCli } from '../support/run-cli.ts';

test('shows examples first, and every command', async () => {
  for (const args of [['--help'], []]) {
    const { code, stdout, stderr } = await runCli(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^Examples:\n {2}quarterdeck up/);
    for (const { name } of commandTable) expect(stdout).toMatch(new RegExp(`^ {2}${name} +\\w`, 'm'));
  }
});

test.each(commandTable.map(({ name }) => name))('%s has help', async (name) => {
  const { code, stdout } = await runCli([name, '--help']);
  expect(code).toBe(0);
  expect(stdout).toContain(`Usage: quarterdeck ${name}`);
});

test('prints its version', async () => {
  expect((await runCli(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test.each([
  [['aply'], "Error: Unknown command 'aply' (Did you mean apply?). Next: quarterdeck --help\n"],
  [['fleet', 'rn'], "Error: Unknown command 'rn' (Did you mean run?). Next: quarterdeck fleet --help\n"],
  [['get'], "Error: Missing required argument 'kind'. Next: quarterdeck get --help\n"],
  [['get', 'all', '--formt', 'x'], "Error: Unknown option '--formt' (Did you mean --format?). Next: quarterdeck get --help\n"],
])('suggests what %j may have meant, with exit code 2', async (args, stderr) => {
  expect(await runCli(args)).toEqual({ code: 2, stdout: '', stderr });
});

test('says mistakes as JSON when JSON is asked for', async () => {
  const { code, stderr } = await runCli(['get', '-o', 'json']);
  expect(code).toBe(2);
  expect(JSON.parse(stderr).error).toMatchObject({ code: 'usage', exitCode: 2, next: 'quarterdeck get --help' });
});
