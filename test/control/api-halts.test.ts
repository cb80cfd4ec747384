import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAgentDirectory } from '../../cli/processes/agent-directory.ts';
import { createHaltSweep } from '../../control/controller/sweep-halts.ts';
import { decideRunToken } from '../../control/issuer/decide-run-token.ts';
import { AgentLimitsSchema } from '../../schema/resources/agent-role.ts';
import { beginAgent, beginWait, endWait, insertAgents } from '../../store/agents.ts';
import { listHalts } from '../../store/halts.ts';
import { getRun, insertRun, moveRun, type RunSnapshot } from '../../store/runs.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { guestToken, type RunningApi, reviewerToken, startRunningApi } from '../support/running-api.ts';
import { wholeFleet } from '../support/sample-resources.ts';

let api: RunningApi;
beforeAll(async () => {
  api = await startRunningApi({ cedar: true });
});
afterAll(() => api.close());

const halts = '/default/default/halts';
const halt = (body: object, token?: string) => api.request('POST', halts, { body, ...(token ? { token } : {}) });
const lift = (body: object, token?: string) => api.request('POST', `${halts}/lift`, { body, ...(token ? { token } : {}) });

const launchedRun = async () => {
  const key = { org: 'default', project: 'default', id: `run_${Math.random().toString(36).slice(2).padEnd(16, '0').slice(0, 16)}` };
  const snapshot = {
    fleet: { stages: [{ name: 'read', role: 'reader' }] },
    roles: { reader: { toolset: 'read', model: 'small' } },
  } as unknown as RunSnapshot;
  const common = {
    inputsDigest: 'd',
    volumes: [],
    outputDirectory: null,
    quality: 'tiny' as const,
    startedBy: 'admin',
    launchDecisionId: 'dec',
  };
  await insertRun(api.database, { ...key, fleet: 'survey', snapshot, ...common });
  await moveRun(api.database, key, ['starting'], 'running');
  const agent = `default/default/survey/${key.id}/read/reader/0`;
  const limits = AgentLimitsSchema.parse({});
  const row = { org: 'default', project: 'default', id: agent, runId: key.id, stage: 'read', role: 'reader', ordinal: 0 };
  await insertAgents(api.database, [{ ...row, inputDigest: 'd', assignedPaths: [], limits }]);
  await beginAgent(api.database, agent);
  return { key, agent };
};

test('a reviewer halts, an administrator lifts, each on record with the reason; nobody else does either', async () => {
  expect(await halt({ scope: 'server', name: 'files', reason: 'leaks' }, guestToken)).toMatchObject({
    status: 403,
    body: { code: 'not_permitted' },
  });
  expect(await halt({ scope: 'server', name: 'files', reason: 'leaks' }, reviewerToken)).toMatchObject({
    status: 201,
    body: { halted: true },
  });
  expect(await halt({ scope: 'server', name: 'files', reason: 'again' })).toMatchObject({ status: 200, body: { isNew: false } });
  expect((await api.request('GET', halts)).body.halts).toMatchObject([
    { org: 'default', project: 'default', scope: 'server', name: 'files', reason: 'leaks', haltedBy: 'reviewer' },
  ]);
  expect(await lift({ scope: 'server', name: 'files' }, reviewerToken)).toMatchObject({ status: 403, body: { code: 'not_permitted' } });
  expect(await lift({ scope: 'server', name: 'files', reason: 'fixed' })).toMatchObject({ status: 200, body: { halted: false } });
  expect(await lift({ scope: 'server', name: 'files' })).toMatchObject({ status: 404, body: { code: 'not_found' } });

  const { events } = (await api.request('GET', '/default/default/audit')).body;
  const rows = events.filter(({ resource }: { resource: string }) => resource === 'Halt/server/files');
  expect(
    rows.map(({ action, kind, person, facts }: Record<string, unknown>) => ({
      action,
      kind,
      person,
      reason: (facts as { reason?: string }).reason,
    })),
  ).toEqual([
    { action: 'halt', kind: 'refusal', person: 'guest', reason: undefined },
    { action: 'halt', kind: 'change', person: 'reviewer', reason: 'leaks' },
    { action: 'liftHalt', kind: 'refusal', person: 'reviewer', reason: undefined },
    { action: 'liftHalt', kind: 'change', person: 'admin', reason: 'fixed' },
  ]);
});

test('no token of a run and no key of a process lifts anything', async () => {
  await halt({ scope: 'fleet', name: 'survey' });
  const runToken = `eyJhbGciOiJFUzI1NiJ9.${Buffer.from(JSON.stringify({ sub: 'default/admin', act: { sub: 'a' } })).toString('base64url')}.c2lnbmF0dXJl`;
  for (const token of [runToken, 'host-key-0123456789abcdef', 'worker-secret-0123456789abcdef'])
    expect(await lift({ scope: 'fleet', name: 'survey' }, token)).toMatchObject({ status: 401 });
  expect(await listHalts(api.database)).toHaveLength(1);
  await lift({ scope: 'fleet', name: 'survey' });
});

test('a policy of one project lets nobody halt or lift the org', async () => {
  const spec = { cedar: 'permit (principal, action in [Quarterdeck::Action::"halt", Quarterdeck::Action::"liftHalt"], resource);' };
  expect(
    (await api.apply({ apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'Project', metadata: { name: 'default' }, spec: {} })).status,
  ).toBe(200);
  await api.apply({ apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'PolicySet', metadata: { name: 'brake' }, spec });
  await expect.poll(async () => (await halt({ scope: 'project' }, guestToken)).status).toBe(201);
  expect((await lift({ scope: 'project' }, guestToken)).status).toBe(200);
  for (const body of [{}, { scope: 'person', name: 'admin' }]) {
    expect((await halt(body, guestToken)).status).toBe(403);
    expect((await lift(body, guestToken)).status).toBe(403);
  }
});

test('what is halted is not launched or resumed, and gets no token from the issuer', async () => {
  const directory = createAgentDirectory({ database: api.database, mayUse: () => true });
  const { key, agent } = await launchedRun();
  const decide = async () =>
    decideRunToken({ agentId: agent, resource: 'http://g/v1' }, await directory.findForToken(agent), {
      resourceBase: 'http://g',
      worker: { name: 'test', trustTier: 'default', limits: {} },
      now: new Date(),
    });
  expect(await decide()).toMatchObject({ ok: true });
  for (const body of [
    {},
    { scope: 'project' },
    { scope: 'fleet', name: 'survey' },
    { scope: 'run', name: key.id },
    { scope: 'agent', name: agent },
    { scope: 'role', name: 'reader' },
  ]) {
    await halt(body);
    expect(await decide(), JSON.stringify(body)).toEqual({ ok: false, reason: 'halted' });
    await lift(body);
  }
  await api.apply(...wholeFleet());
  await halt({ scope: 'fleet', name: 'survey', reason: 'a drill' });
  const launched = await api.request('POST', '/default/default/runs', { body: { fleet: 'survey', inputs: {} } });
  expect(launched).toMatchObject({ status: 403, body: { code: 'halted', halt: 'fleet/survey', retryable: true } });
  expect(launched.headers.get('retry-after')).toBe('30');
  await moveRun(api.database, key, ['running'], 'partial');
  expect((await api.request('POST', `/default/default/runs/${key.id}/resume`, { body: {} })).body.code).toBe('halted');
  expect(await getRun(api.database, key)).toMatchObject({ state: 'partial', attempt: 1 });
  await lift({ scope: 'fleet', name: 'survey' });
});

test('a halted person does nothing here any more, and does not lift it', async () => {
  await halt({ scope: 'person', name: 'reviewer' });
  expect((await api.request('GET', halts, { token: reviewerToken })).body.code).toBe('halted');
  expect((await lift({ scope: 'person', name: 'reviewer' }, reviewerToken)).body.code).toBe('halted');
  expect((await lift({ scope: 'person', name: 'reviewer' })).status).toBe(200);
  expect((await api.request('GET', halts, { token: reviewerToken })).status).toBe(200);
});

test('agents that wait are told when nothing is in their way any more, again until they have gone on', async () => {
  const told: string[] = [];
  let isAway = true;
  const sweep = createHaltSweep({
    database: api.database,
    tellAgent: async ({ agent, approvalId }) => {
      if (isAway) throw new Error('Temporal is away');
      told.push(`${agent} ${approvalId}`);
      return 'told';
    },
    logger: createLogger({ name: 'test', level: 'silent' }),
  });
  const { agent } = await launchedRun();
  await halt({ scope: 'agent', name: agent });
  await beginWait(api.database, agent, null);
  await sweep();
  await lift({ scope: 'agent', name: agent });
  await sweep();
  expect(told).toEqual([]);
  isAway = false;
  await sweep();
  await sweep();
  expect(told).toEqual([`${agent} halt`, `${agent} halt`]);
  await endWait(api.database, agent);
  await sweep();
  expect(told).toHaveLength(2);
});

test('a scope without its name, with one too many, or that there is none of, is refused', async () => {
  for (const body of [{ scope: 'server' }, { scope: 'org', name: 'x' }, { scope: 'planet', name: 'x' }, { scope: 'server', name: '../x' }])
    expect((await halt(body)).status, JSON.stringify(body)).toBe(400);
  expect(await listHalts(api.database)).toEqual([]);
});
