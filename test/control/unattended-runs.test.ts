import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decideRunToken } from '../../control/issuer/decide-run-token.ts';
import { seedPeople } from '../../store/people.ts';
import { getRun } from '../../store/runs.ts';
import { askFor, callToApprove } from '../support/ask-approval.ts';
import { type RunningApi, startRunningApi } from '../support/running-api.ts';
import { agentId, modelsUrl, resourceBase, runningAgent } from '../support/running-issuer.ts';
import { wholeFleet } from '../support/sample-resources.ts';

let api: RunningApi;
const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-unattended-'));
/** As the issuer gives it for a client's own secret or its own token: of no login. */
const tokenOf = (machine: string) => api.login(machine, null);
const launch = async (machine: string) =>
  api.request('POST', '/default/default/runs', { body: { fleet: 'survey', inputs: { path: folder } }, token: await tokenOf(machine) });

beforeAll(async () => {
  api = await startRunningApi({ cedar: true });
  await seedPeople(
    api.database,
    'default',
    ['nightly', 'other'].map((name) => ({ id: `client-default-${name}`, groups: [], roles: [] })),
  );
  const resource = (kind: string, name: string, spec: object) => ({
    apiVersion: 'quarterdeck.dev/v1alpha1',
    kind,
    metadata: { name },
    spec,
  });
  const { status, body } = await api.apply(
    resource('Project', 'default', {}),
    ...wholeFleet(),
    resource('AccessBinding', 'nightly', {
      subjects: [{ person: 'client-default-nightly' }],
      ...{ fleets: ['survey'], agentRoles: ['reader'], toolsets: ['read'], models: ['small'] },
    }),
  );
  if (status !== 200) throw new Error(JSON.stringify(body));
});
afterAll(async () => {
  await api.close();
  rmSync(folder, { recursive: true, force: true });
});

test('a client that acts for itself launches what a binding gives it; another is refused', async () => {
  const launched = await launch('client-default-nightly');
  expect(launched, JSON.stringify(launched.body)).toMatchObject({ status: 201 });
  const run = await getRun(api.database, { org: 'default', project: 'default', id: launched.body.id });
  expect(run.startedBy).toBe('client-default-nightly');
  expect(await launch('client-default-other')).toMatchObject({ status: 403, body: { code: 'not_permitted' } });
});

test('policies see of it that nobody stands behind it', async () => {
  const cedar = `@id("attended") forbid (principal, action == Quarterdeck::Action::"launchFleet", resource) unless { context.who.hasHuman };`;
  await api.apply({ apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'PolicySet', metadata: { name: 'attended' }, spec: { cedar } });
  await expect.poll(async () => (await launch('client-default-nightly')).status, { timeout: 10_000 }).toBe(403);
  const byPerson = await api.request('POST', '/default/default/runs', { body: { fleet: 'survey', inputs: { path: folder } } });
  expect(byPerson.status).toBe(201);
});

test('tokens of its agents are for the agent itself; those of a person’s run are for the person', () => {
  const decide = (startedBy: string) =>
    decideRunToken(
      { agentId, resource: modelsUrl },
      { ...runningAgent, startedBy },
      {
        resourceBase,
        worker: { name: 'test', trustTier: 'default', limits: {} },
        now: new Date(),
      },
    );
  expect(decide('client-default-nightly')).toMatchObject({ ok: true, grant: { subject: agentId, claims: { act: { sub: agentId } } } });
  expect(decide('admin')).toMatchObject({ ok: true, grant: { subject: 'default/admin', claims: { act: { sub: agentId } } } });
});

test('it never approves what its own run asks for, as no owner does, though everybody else of that role may', async () => {
  const call = callToApprove({ person: 'client-default-nightly' });
  const { id } = await askFor(api.database, call);
  const answer = async (token?: string) =>
    api.request('POST', `/default/default/approvals/${id}/approve`, { body: { digest: call.digest }, ...(token ? { token } : {}) });
  for (const token of [await tokenOf('client-default-nightly'), await api.login('client-default-nightly', 0)])
    expect(await answer(token)).toMatchObject({ status: 403, body: { code: 'not_permitted' } });
  expect(await answer(await api.login('reviewer', 10))).toMatchObject({ status: 200, body: { state: 'approved' } });
});
