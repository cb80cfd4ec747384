import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { type CliOptions, runCli } from '../support/run-cli.ts';
import { adminToken, guestToken, type RunningApi, startRunningApi } from '../support/running-api.ts';
import { wholeFleet } from '../support/sample-resources.ts';

let api: RunningApi;
let folder: string;
beforeAll(async () => {
  api = await startRunningApi();
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-cli-'));
});
afterAll(async () => {
  await api.close();
  rmSync(folder, { recursive: true, force: true });
});

const qd = (args: string[], { env, ...options }: CliOptions = {}) =>
  runCli(args, { cwd: folder, env: { QUARTERDECK_URL: api.url, QUARTERDECK_TOKEN: adminToken, ...env }, ...options });
const file = (name: string, text: string | Buffer): string => {
  mkdirSync(join(folder, name, '..'), { recursive: true });
  writeFileSync(join(folder, name), text);
  return name;
};
const yaml = (documents: unknown[]): string => documents.map((document) => stringify(document)).join('---\n');

const server = `apiVersion: quarterdeck.dev/v1alpha1
kind: McpServer
metadata: { name: echo }
spec: { url: "http://127.0.0.1:9100/mcp", transport: streamable-http }
`;

test('applies a file of several documents, a folder, JSON and stdin', async () => {
  const whole = await qd(['apply', '-f', file('whole.yaml', yaml(wholeFleet()))]);
  expect(whole).toMatchObject({ code: 0, stderr: '' });
  expect(whole.stdout.split('\n')).toContain('fleet/survey created');
  file('tree/a/server.yml', server);
  file(
    'tree/set.json',
    JSON.stringify([
      {
        apiVersion: 'quarterdeck.dev/v1alpha1',
        kind: 'Toolset',
        metadata: { name: 'echo' },
        spec: { servers: [{ name: 'echo' }], naming: 'plain' },
      },
    ]),
  );
  file('tree/notes.txt', 'no resource');
  expect((await qd(['apply', '-f', 'tree'])).stdout).toBe('mcpserver/echo created\ntoolset/echo created\n');
  expect((await qd(['apply', '-f', '-'], { input: server })).stdout).toBe('mcpserver/echo unchanged\n');
});

test('knows the folder from which npm was called', async () => {
  file('here.yaml', server);
  const { stdout } = await qd(['apply', '-f', 'here.yaml'], { cwd: '/', env: { INIT_CWD: folder } });
  expect(stdout).toBe('mcpserver/echo unchanged\n');
});

test('says with --dry-run what would happen, and does nothing', async () => {
  file('planned.yaml', server.replace('echo', 'planned'));
  expect((await qd(['apply', '-f', 'planned.yaml', '--dry-run'])).stdout).toBe('mcpserver/planned created (dry run)\n');
  expect((await qd(['get', 'mcpserver', 'planned'])).code).toBe(1);
});

test('names file, line, column, field and what is expected of a wrong file, and applies nothing of it', async () => {
  file(
    'wrong.yaml',
    `${server.replace('echo', 'never')}---
apiVersion: quarterdeck.dev/v1alpha1
kind: AgentRole
metadata:
  name: reader
spec:
  instructions: Read.
  model: small
  limits:
    steps: many
  output: { type: object }
  colour: red
`,
  );
  const { code, stdout, stderr } = await qd(['apply', '-f', 'wrong.yaml']);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(/^wrong\.yaml:14:12: spec\.limits\.steps: .*expected number$/m);
  expect(stderr).toMatch(/^wrong\.yaml:16:3: spec\.colour: there is no field `colour` here/m);
  expect(stderr).toMatch(/^Error: Nothing was applied: 2 things are not as expected$/m);
  expect((await qd(['get', 'mcpserver', 'never'])).code).toBe(1);
});

test('places what only the platform knows in the file too', async () => {
  file(
    'dangling.yaml',
    'apiVersion: quarterdeck.dev/v1alpha1\nkind: Toolset\nmetadata: { name: t }\nspec:\n  servers:\n    - name: nowhere\n',
  );
  const { code, stderr } = await qd(['apply', '-f', 'dangling.yaml']);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^dangling\.yaml:6:13: spec\.servers\.0\.name: there is no McpServer `nowhere` in default\/default$/m);
});

test.each([
  ['text that is no YAML', 'a: [1, 2\nb: }', /^bad\.yaml:2:\d+: expected YAML or JSON: /m],
  ['a key twice', `${server}kind: Toolset\n`, /^bad\.yaml:5:1: expected YAML or JSON: Map keys must be unique/m],
  [
    'a missing field, at what misses it',
    server.replace(', transport: streamable-http', '').replace('url: "http://127.0.0.1:9100/mcp"', ''),
    /^bad\.yaml:4:1: spec: expected exactly one of/m,
  ],
  [
    'a kind that does not exist',
    server.replace('McpServer', 'Serverr'),
    /^bad\.yaml:2:7: kind: there is no kind `Serverr`; expected one of Project, McpServer/m,
  ],
  [
    'a field that is not built yet',
    server.replace('transport: streamable-http', 'replicas: 2'),
    /^bad\.yaml:4:43: spec\.replicas: the field `replicas` of McpServer is not built yet/m,
  ],
  ['something that is no resource', '- 1\n', /^bad\.yaml:1:3: expected a resource/m],
  ['nothing at all', '# only a comment\n', /^Error: There is no resource in what was given/m],
  [
    'aliases that grow without end',
    `a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n`,
    /^bad\.yaml:1:1: expected at most 100 aliases/m,
  ],
  ['brackets without end', '['.repeat(50_000), /^bad\.yaml:1:\d+: expected YAML or JSON/m],
  ['bytes that are no text', Buffer.from([0x61, 0xff, 0xfe]), /^Error: bad\.yaml is not a text in UTF-8/m],
])('refuses %s', async (_what, text, expected) => {
  const { code, stderr } = await qd(['apply', '-f', file('bad.yaml', text)]);
  expect(stderr).toMatch(expected);
  expect(code).toBe(1);
});

test('says which file or folder cannot be read', async () => {
  expect((await qd(['apply', '-f', 'nowhere.yaml'])).stderr).toBe(
    'Error: nowhere.yaml cannot be read: there is no such file or folder. Next: name a file, a folder or `-` with -f\n',
  );
  mkdirSync(join(folder, 'empty'));
  expect((await qd(['apply', '-f', 'empty'])).stderr).toContain('empty has no file that ends in .yaml, .yml or .json');
});

test('prints errors as JSON too when asked for JSON', async () => {
  file('wrong.json', '{"apiVersion":"quarterdeck.dev/v1alpha1","kind":"Toolset","metadata":{"name":"T"},"spec":{"servers":[]}}');
  const { code, stdout, stderr } = await qd(['apply', '-f', 'wrong.json', '-o', 'json']);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  const { error } = JSON.parse(stderr);
  expect(error).toMatchObject({ code: 'resource_invalid', exitCode: 1 });
  expect(error.issues.map(({ place, field }: { place: string; field: string }) => `${place} ${field}`)).toEqual([
    'wrong.json:1:78 metadata.name',
    'wrong.json:1:91 spec.servers',
  ]);
});

test('ends with 4 when the policy refuses', async () => {
  const { code, stderr } = await qd(['apply', '-f', file('one.yaml', server)], { env: { QUARTERDECK_TOKEN: guestToken } });
  expect(code).toBe(4);
  expect(stderr).toMatch(/^Error: guest may not applyResource on McpServer echo .* Next: .+\n$/);
});
