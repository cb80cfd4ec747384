import pino from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createAgentDirectory } from '../../cli/processes/agent-directory.ts';
import { createApiPolicy } from '../../cli/processes/api-policy.ts';
import { agentIdOf, defaultTenancy } from '../../schema/ids.ts';
import { AgentRoleSpecSchema } from '../../schema/resources/agent-role.ts';
import { FleetSpecSchema } from '../../schema/resources/fleet.ts';
import { beginAgent, insertAgents } from '../../store/agents.ts';
import { seedPeople, setPersonDisabled } from '../../store/people.ts';
import { applyResources } from '../../store/resources.ts';
import { insertRun, markRunRevoked, moveRun } from '../../store/runs.ts';
import { offerTools } from '../support/offer-tools.ts';
import { pollUntil } from '../support/poll-until.ts';
import { precompiledRego } from '../support/precompiled-rego.ts';
import { parsed } from '../support/running-gateway.ts';
import { type RunningIssuer, resourceBase, startRunningIssuer } from '../support/running-issuer.ts';
import { plentiful, useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
let policy: Awaited<ReturnType<typeof createApiPolicy>>;
let issuer: RunningIssuer;
let runs = 0;

const role = AgentRoleSpecSchema.parse({ instructions: 'x', model: 'small', toolset: 'files', output: { type: 'object' } });
const fleet = FleetSpecSchema.parse({ stages: [{ name: 'read', role: 'reader' }] });

/** Writes a running agent of a run that a person launched. */
const launchedBy = async (startedBy: string, { stage = 'read', as = 'reader' } = {}) => {
  runs += 1;
  const key = { ...defaultTenancy, id: `run_${runs}` };
  const snapshot = { fleet, roles: { reader: role, keeper: role }, models: {} };
  const run = { ...key, fleet: 'survey', snapshot, inputsDigest: 'd', volumes: [], outputDirectory: null, quality: 'standard' as const };
  await insertRun(database(), { ...run, startedBy, launchDecisionId: 'dec_1' });
  await moveRun(database(), key, ['starting'], 'running');
  const place = { ...defaultTenancy, runId: key.id, stage, role: as, ordinal: 0 };
  const id = agentIdOf({ ...place, fleet: 'survey' });
  await insertAgents(database(), [{ ...place, id, inputDigest: 'd', assignedPaths: [], limits: plentiful }]);
  await beginAgent(database(), id);
  return { id, key };
};
const toolset = `${resourceBase}/mcp/default/default/files`;
const ask = async (agent: { id: string }, resource = toolset) => {
  const { status, body } = await issuer.exchange({ subject_token: agent.id, resource });
  return status === 200 ? body.scope : body.error;
};
const apply = (...documents: object[]) => applyResources(database(), parsed(...documents));

beforeAll(async () => {
  await seedPeople(database(), 'default', [
    { id: 'admin', groups: [], roles: ['administrator'] },
    { id: 'ada', groups: ['engineers'], roles: [] },
    { id: 'eve', groups: ['guests'], roles: [] },
  ]);
  await apply(
    { kind: 'Project', metadata: { name: 'default' }, spec: {} },
    { kind: 'McpServer', metadata: { name: 'disk' }, spec: { url: 'http://127.0.0.1:9/mcp' } },
    { kind: 'Toolset', metadata: { name: 'files' }, spec: { servers: [{ name: 'disk' }] } },
    { kind: 'Provider', metadata: { name: 'p' }, spec: { kind: 'openai-compatible', baseUrl: 'http://127.0.0.1:9/v1' } },
    { kind: 'Model', metadata: { name: 'small' }, spec: { routes: [{ provider: 'p', model: 'm' }] } },
    {
      kind: 'AccessBinding',
      metadata: { name: 'roles' },
      spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['files'], models: ['small'] },
    },
    {
      kind: 'AccessBinding',
      metadata: { name: 'engineers' },
      spec: { subjects: [{ group: 'engineers' }], toolsets: ['files'], models: ['small'] },
    },
    { kind: 'AccessBinding', metadata: { name: 'guests' }, spec: { subjects: [{ group: 'guests' }], models: ['small'] } },
  );
  policy = await createApiPolicy({
    database: database(),
    profile: 'dev',
    clock: () => new Date(),
    verifyPolicies: () => false,
    compileRego: precompiledRego,
    logger: pino({ level: 'silent' }),
  });
  issuer = await startRunningIssuer({ agents: createAgentDirectory({ database: database(), mayUse: policy.mayUse }) });
});
afterAll(async () => {
  await issuer.close();
  await policy.close();
});
beforeEach(() => setPersonDisabled(database(), 'default', 'ada', false));

describe('an agent gets', () => {
  test('what its role names, for a person who may use it too', async () => {
    for (const person of ['admin', 'ada']) {
      const agent = await launchedBy(person);
      expect([await ask(agent), await ask(agent, `${resourceBase}/v1`)], person).toEqual(['mcp', 'models']);
    }
  });

  test('no tools on behalf of a person who has none, whatever its role has; and the models that they do have', async () => {
    const agent = await launchedBy('eve');
    expect(await ask(agent)).toBe('invalid_scope');
    expect(await ask(agent, `${resourceBase}/v1`)).toBe('models');
    expect(issuer.logLines.join()).toContain('scope_not_of_person');
  });

  test('nothing on behalf of somebody who was shut out, or whom nobody knows', async () => {
    const agent = await launchedBy('ada');
    expect(await ask(agent)).toBe('mcp');
    await setPersonDisabled(database(), 'default', 'ada', true);
    expect([await ask(agent), await ask(agent, `${resourceBase}/v1`)]).toEqual(['invalid_scope', 'invalid_scope']);
    expect(await ask(await launchedBy('nobody'))).toBe('invalid_scope');
  });

  test('less as soon as the person may use less, in the middle of its run', async () => {
    const agent = await launchedBy('ada');
    expect(await ask(agent)).toBe('mcp');
    await apply({
      kind: 'AccessBinding',
      metadata: { name: 'engineers' },
      spec: { subjects: [{ group: 'engineers' }], models: ['small'] },
    });
    await pollUntil(async () => (await ask(agent)) === 'invalid_scope' || undefined, 'the tools to be gone');
    await apply({
      kind: 'AccessBinding',
      metadata: { name: 'engineers' },
      spec: { subjects: [{ group: 'engineers' }], toolsets: ['files'], models: ['small'] },
    });
    await pollUntil(async () => (await ask(agent)) === 'mcp' || undefined, 'the tools to be back');
  });

  test('nothing in a role or at a stage that its fleet does not have, and nothing once its run was revoked', async () => {
    expect(await ask(await launchedBy('admin', { as: 'keeper' }))).toBe('invalid_grant');
    expect(await ask(await launchedBy('admin', { stage: 'write' }))).toBe('invalid_grant');
    const agent = await launchedBy('admin');
    await markRunRevoked(database(), agent.key);
    expect(await ask(agent)).toBe('invalid_grant');
  });
});

test('what a person may use is judged by what their servers offer, rule by rule, where that is known', async () => {
  const person = { org: 'default', id: 'eve', groups: ['guests'], roles: [], disabled: false };
  const mayUse = () => policy.mayUse(person, defaultTenancy, { kind: 'Toolset', name: 'files' });
  const cedar =
    'permit (principal in Quarterdeck::Group::"default/guests", action in [Quarterdeck::Action::"listTool"], resource == Quarterdeck::Tool::"default/default/disk/read");';
  await apply({ kind: 'PolicySet', metadata: { name: 'guests' }, spec: { cedar } });
  await new Promise((resolve) => setTimeout(resolve, 300));
  // nothing is known of the server: no grant of a single tool is one of the toolset
  expect(mayUse()).toBe(false);
  const inputSchema = { type: 'object' };
  await offerTools(database(), 'disk', { name: 'write', inputSchema }, { name: 'read', inputSchema });
  await pollUntil(() => mayUse() || undefined, 'the tool to be seen');
});
