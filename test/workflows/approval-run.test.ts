import pino from 'pino';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createActivities, createGatewayClient } from '../../activities/index.ts';
import type { ModelReply } from '../../agents/chat-request.ts';
import { createTemporalPort } from '../../control/api/temporal-port.ts';
import { createApprovalSweep } from '../../control/controller/sweep-approvals.ts';
import type { Approval, Verdict } from '../../schema/approval.ts';
import { defaultTenancy, fleetWorkflowId, runIdFrom } from '../../schema/ids.ts';
import { workflowTypes } from '../../schema/workflow-contract.ts';
import { listAgents } from '../../store/agents.ts';
import { listApprovals } from '../../store/approvals.ts';
import { createContentStore } from '../../store/contents.ts';
import { decideApproval } from '../../store/decide-approval.ts';
import { insertRun, type RunKey } from '../../store/runs.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { snapshotOf } from '../activities/run-fixture.ts';
import { approvalEvent, runOut } from '../support/ask-approval.ts';
import { openAuditLog } from '../support/audit-log.ts';
import { startCountingServer } from '../support/counting-server.ts';
import { pollUntil } from '../support/poll-until.ts';
import { type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';
import { startTestTemporal } from '../support/temporal.ts';
import { bundleWorkflows, startWorkers, type TestWorkers } from './workers.ts';

let gateway: RunningGateway;
let server: Awaited<ReturnType<typeof startCountingServer>>;
let bundle: Awaited<ReturnType<typeof bundleWorkflows>>;
let workers: TestWorkers;
let temporal: ReturnType<typeof createTemporalPort>;

const asks = `@id("ask") @approve("role:reviewer") @expires("3d") @reason("It acts.")
forbid (principal is Quarterdeck::Agent, action == Quarterdeck::Action::"callTool", resource) unless { context.approvedCall };`;

beforeAll(async () => {
  const { address, namespace } = await startTestTemporal();
  temporal = createTemporalPort({ address, namespace });
  bundle = await bundleWorkflows();
  server = await startCountingServer();
  gateway = await startRunningGateway();
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url, timeoutSeconds: 5 } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
    { kind: 'AccessBinding', metadata: { name: 'clerks' }, spec: { subjects: [{ agentRole: 'clerk' }], toolsets: ['counting'] } },
    { kind: 'PolicySet', metadata: { name: 'asking' }, spec: { cedar: asks } },
  );
  await gateway.ready('counting');
});
afterAll(async () => {
  await temporal.close();
  await gateway.close();
  await server.close();
});
afterEach(() => workers.close());

/** A model that acts once, reads what came of it, and answers. */
const reply = (hasActed: boolean): ModelReply =>
  hasActed
    ? { text: '{"written":true}', toolCalls: [], finishReason: 'stop' }
    : { text: '', toolCalls: [{ name: 'act', arguments: '{"path":"/out/post"}' }], finishReason: 'tool_calls' };

const work = (prefix?: string): Promise<TestWorkers> => {
  const contents = createContentStore(gateway.database, deriveContentKeys(Buffer.alloc(32, 9).toString('base64'), 'content'));
  const tokens = { tokenFor: (agentId: string, audience: string) => gateway.mint(agentId, audience), forget: () => undefined };
  const client = createGatewayClient({ gatewayUrl: gateway.publicUrl, tokens });
  const complete: typeof client.complete = async (_caller, { messages }) => reply(messages.some(({ role }) => role === 'tool'));
  const parts = {
    database: gateway.database,
    contents,
    gateway: { ...client, complete },
    logger: pino({ level: 'silent' }),
    recheckMs: 500,
  };
  return startWorkers(bundle, (workflows) => createActivities({ ...parts, workflows }), prefix);
};

/** Launches a run of one clerk, who acts on one thing. */
const launch = async (): Promise<RunKey> => {
  const key = { ...defaultTenancy, id: runIdFrom(crypto.getRandomValues(new Uint8Array(10))) };
  const snapshot = snapshotOf({ decoding: 'native', stages: [{ name: 'merge', role: 'clerk', input: { path: '/out/post' } }] });
  if (snapshot.roles.clerk) Object.assign(snapshot.roles.clerk, { toolset: 'counting', requiredCalls: ['act'] });
  const contents = createContentStore(gateway.database, deriveContentKeys(Buffer.alloc(32, 9).toString('base64'), 'content'));
  await insertRun(gateway.database, {
    ...key,
    fleet: 'survey',
    snapshot,
    inputsDigest: await contents.putJson(key, { path: '/home/someone/atlas' }, 'run-inputs'),
    volumes: [],
    outputDirectory: null,
    quality: 'tiny',
    startedBy: 'admin',
    launchDecisionId: 'dec_1',
  });
  await workers.workflows.start(workflowTypes.fleet, {
    workflowId: fleetIdOf(key),
    taskQueue: workers.taskQueue,
    args: [{ ...defaultTenancy, fleet: 'survey', runId: key.id, attempt: 1 }],
  });
  return key;
};
const fleetIdOf = ({ id }: RunKey): string => fleetWorkflowId({ ...defaultTenancy, fleet: 'survey', runId: id });
const ended = (key: RunKey) => workers.workflows.getHandle(fleetIdOf(key)).result();
const agentOf = async (key: RunKey) => (await listAgents(gateway.database, key))[0];

/** The approval that the run's agent waits for. */
const waiting = (key: RunKey): Promise<Approval> =>
  pollUntil(async () => {
    const [approval] = await listApprovals(gateway.database, key, { state: 'pending', run: key.id, limit: 10 });
    return approval && (await agentOf(key))?.approvalId === approval.id ? approval : undefined;
  }, 'an approval');
const decide = ({ id, digest, rules }: Approval, verdict: Verdict) =>
  decideApproval(
    gateway.database,
    openAuditLog(gateway.database),
    { ...defaultTenancy, id },
    { person: 'rita', verdict, digest, policies: rules.map(({ policy }) => policy), stamp: 't', comment: null, decisionId: 'dec_r' },
    approvalEvent(verdict),
    { mayApproveOwn: false },
  );
const sweep = () =>
  createApprovalSweep({
    database: gateway.database,
    audit: openAuditLog(gateway.database),
    tellAgent: temporal.tellAgent,
    clock: () => new Date(Date.now() + 60_000),
    logger: pino({ level: 'silent' }),
  })();

test('an agent waits for a person for days with its workers dead, a lost signal is told again, and its call runs once', async () => {
  workers = await work();
  const before = server.countOf('act');
  const key = await launch();
  const approval = await waiting(key);
  expect(approval).toMatchObject({
    tool: 'act',
    role: 'clerk',
    person: 'admin',
    reason: 'It acts.',
    operationId: expect.stringContaining('/call-0'),
  });
  const { prefix } = workers;
  await workers.close();
  // two days, with a role that has fifteen minutes
  const agent = await agentOf(key);
  await gateway.database.$client.query(
    `update agents set waiting_since = waiting_since - interval '2 days', deadline_at = deadline_at - interval '2 days' where id = $1`,
    [agent?.id],
  );
  expect((await decide(approval, 'approve')).state).toBe('approved');
  workers = await work(prefix);
  expect(server.countOf('act')).toBe(before);
  await sweep();
  await ended(key);
  expect(server.countOf('act')).toBe(before + 1);
  expect(await agentOf(key)).toMatchObject({ state: 'done', approvalId: null });
  const rows = (await gateway.audit({ run: key.id, limit: 500 })).map(({ action, kind }) => `${action}/${kind}`);
  for (const row of ['askApproval/change', 'useApproval/change', 'callTool/intent', 'callTool/outcome']) expect(rows).toContain(row);
});

test('a denial reaches the agent, and nothing runs', async () => {
  workers = await work();
  const before = server.countOf('act');
  const key = await launch();
  const approval = await waiting(key);
  await decide(approval, 'deny');
  await temporal.tellAgent({ agent: approval.agent ?? '', approvalId: approval.id });
  await ended(key);
  expect(server.countOf('act')).toBe(before);
  expect((await agentOf(key))?.state, 'its role has to act').toBe('parked');
  const rows = await gateway.audit({ run: key.id, limit: 500 });
  expect(rows.map(({ errorCode }) => errorCode)).toContain('approval_denied');
});

test('an approval that nobody gives in time is a denial that the sweep tells', async () => {
  workers = await work();
  const before = server.countOf('act');
  const key = await launch();
  const approval = await waiting(key);
  await runOut(gateway.database, approval.id);
  await sweep(); // closes it
  await sweep(); // tells of it
  await ended(key);
  expect(server.countOf('act')).toBe(before);
  const rows = await gateway.audit({ run: key.id, limit: 500 });
  expect(rows.map(({ errorCode, action }) => `${action} ${errorCode}`)).toContain('callTool approval_expired');
});
