import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { guestToken, type RunningApi, startRunningApi } from '../support/running-api.ts';
import { project, wholeFleet } from '../support/sample-resources.ts';

let api: RunningApi;
let input: string;
beforeAll(async () => {
  input = mkdtempSync(join(tmpdir(), 'quarterdeck-input-'));
  api = await startRunningApi({ cedar: true });
  expect((await api.apply(project('default'), ...wholeFleet())).status).toBe(200);
});
afterAll(async () => {
  await api.close();
  rmSync(input, { recursive: true, force: true });
});

const launch = () =>
  api.request('POST', '/default/default/runs', { body: { fleet: 'survey', inputs: { path: input } }, token: guestToken });
const grant = (granted: object) =>
  api.apply({
    apiVersion: 'quarterdeck.dev/v1alpha1',
    kind: 'AccessBinding',
    metadata: { name: 'guests' },
    spec: { subjects: [{ group: 'engineering' }], ...granted },
  });

test('a fleet is launched by whoever may use it, its roles, and all that these use; what is missing is named', async () => {
  const [fleets, agentRoles] = [['survey'], ['reader']];
  const steps: [object, number, string?][] = [
    [{ fleets }, 403],
    [{ fleets, agentRoles }, 403, 'Toolset read, which its role reader uses'],
    [{ fleets, agentRoles, toolsets: ['read'] }, 403, 'Model small, which its role reader uses'],
    [{ fleets, agentRoles, toolsets: ['read'], models: ['small'] }, 201],
  ];
  for (const [granted, status, missing] of steps) {
    expect((await grant(granted)).status).toBe(200);
    const answer = await launch();
    expect([answer.status, answer.body.detail ?? ''], JSON.stringify(granted)).toEqual([status, expect.stringContaining(missing ?? '')]);
  }
  const { body } = await api.request('GET', '/default/default/audit?action=launchFleet');
  expect(body.events.map(({ decision }: { decision: string }) => decision).toSorted()).toEqual(['allow', 'deny', 'deny', 'deny']);
});
