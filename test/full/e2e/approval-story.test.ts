import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCountingServer } from '../../support/counting-server.ts';
import { runCli } from '../../support/run-cli.ts';
import { createPlatformPlace, type PlatformPlace } from '../../support/running-platform.ts';

let place: PlatformPlace;
let server: Awaited<ReturnType<typeof startCountingServer>>;

beforeAll(async () => {
  server = await startCountingServer();
  place = await createPlatformPlace();
});
afterAll(async () => {
  place.close();
  await server.close();
});

const resources = (url: string): string => `
apiVersion: quarterdeck.dev/v1alpha1
kind: McpServer
metadata: { name: counting }
spec: { url: "${url}" }
---
apiVersion: quarterdeck.dev/v1alpha1
kind: Toolset
metadata: { name: counting }
spec: { servers: [{ name: counting }], naming: plain }
---
apiVersion: quarterdeck.dev/v1alpha1
kind: PolicySet
metadata: { name: acting }
spec:
  cedar: |
    @id("ask") @approve("role:reviewer") @expires("1h") @reason("It acts on the world.")
    forbid (principal, action == Quarterdeck::Action::"callTool", resource)
    when { !resource.hints.readOnly } unless { context.approvedCall };
`;

test('a person calls a tool, a second person approves what they see, and the call runs once', async () => {
  const platform = await place.start(['--profile', 'dev']);
  const file = join(place.folder, 'acting.yaml');
  writeFileSync(file, resources(server.url));
  const qd = (...args: string[]) => runCli([...args, '--data', place.data]);
  expect((await qd('apply', '-f', file)).code).toBe(0);
  expect((await qd('wait', 'toolset/counting', '--for=condition=Ready')).code).toBe(0);

  const call = (value = 'hello') => qd('mcp', 'call', 'act', '--toolset', 'counting', `value=${value}`);
  const first = await call();
  expect(first.code).toBe(5);
  const id = /approval (apr_\w{16})/.exec(first.stderr)?.[1] ?? '';
  expect(first.stderr).toContain('It acts on the world.');
  expect((await qd('approvals', 'ls', '-o', 'name', '--as', 'reviewer')).stdout).toBe(`${id}\n`);

  const own = await qd('approvals', 'approve', id, '--yes');
  expect(own.code, 'not one’s own').toBe(4);
  const shown = JSON.parse((await qd('approvals', 'show', id, '--as', 'reviewer', '-o', 'json')).stdout);
  expect(shown.arguments).toBe('{\n  "value": "hello"\n}');
  const approved = await qd('approvals', 'approve', id, '--as', 'reviewer', '--digest', shown.digest);
  expect(approved).toMatchObject({ code: 0, stdout: `${id} approved\n` });

  const changed = await call('hallo');
  expect(changed.code, 'other arguments').toBe(5);
  expect(/approval (apr_\w{16})/.exec(changed.stderr)?.[1]).not.toBe(id);
  expect(server.countOf('act')).toBe(0);
  expect(await call()).toMatchObject({ code: 0, stdout: 'call 1 of act\n' });
  expect((await call()).code, 'another call').toBe(5);
  expect(server.calls.map(({ arguments: { value } }) => value)).toEqual(['hello']);
  const { events } = JSON.parse((await qd('audit', 'query', '-o', 'json')).stdout);
  const actions = events
    .filter((row: { resource: string }) => row.resource === `Approval/${id}`)
    .map((row: { action: string }) => row.action);
  expect(actions).toEqual(expect.arrayContaining(['askApproval', 'seeApproval', 'approve', 'useApproval']));
  platform.child.kill('SIGTERM');
  await platform.ended;
});
