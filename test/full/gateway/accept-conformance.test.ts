import { afterAll, beforeAll, expect, test } from 'vitest';
import { startModernFixture } from '../../support/conformance/modern-server.ts';
import { type Check, runScenarios, scenariosOf } from '../../support/conformance/run-scenarios.ts';
import { startTokenFront } from '../../support/conformance/token-front.ts';
import { adminToken, startRunningGateway } from '../../support/running-gateway.ts';

const closing: (() => Promise<void>)[] = [];
let url = '';
beforeAll(async () => {
  const server = await startModernFixture();
  closing.push(server.close);
  const gateway = await startRunningGateway();
  closing.unshift(gateway.close);
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'fixture' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'fixture' }, spec: { servers: [{ name: 'fixture' }], naming: 'plain' } },
  );
  await gateway.ready('fixture');
  const front = await startTokenFront(`${gateway.publicUrl}/mcp/fixture`, adminToken);
  closing.unshift(front.close);
  url = front.url;
});
afterAll(async () => {
  for (const close of closing) await close();
});

/** What did not pass, as `scenario: check: message`; a scenario that left no report did not pass either. */
const failuresIn = (scenarios: string[], found: ReadonlyMap<string, Check[]>): string[] =>
  scenarios.flatMap((scenario) =>
    (found.get(scenario) ?? [{ id: 'report', status: 'FAILURE' as const, errorMessage: 'none' }])
      .filter(({ status }) => status === 'FAILURE' || status === 'WARNING')
      .map(({ id, errorMessage }) => `${scenario}: ${id}: ${errorMessage}`),
  );

test('one URL passes every scenario that 2026-07-28 and 2025-11-25 require of servers, with both revisions at it at once', async () => {
  const revisions = ['2026-07-28', '2025-11-25'];
  const found = await Promise.all(revisions.map((revision) => runScenarios('server', ['--url', url, '--requirements', revision])));
  const failures = revisions.flatMap((revision, index) =>
    failuresIn(scenariosOf(revision, 'server'), found[index] ?? new Map()).map((failure) => `${revision}: ${failure}`),
  );
  expect(failures).toEqual([]);
  expect(scenariosOf('2026-07-28', 'server').length).toBeGreaterThan(30);
});
