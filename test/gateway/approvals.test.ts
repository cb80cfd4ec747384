import { randomUUID } from 'node:crypto';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../bench/gateway/free-port.ts';
import type { Verdict } from '../../schema/approval.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { getApproval } from '../../store/approvals.ts';
import { decideApproval } from '../../store/decide-approval.ts';
import { approvalEvent, runOut } from '../support/ask-approval.ts';
import { openAuditLog } from '../support/audit-log.ts';
import { callHeaders } from '../support/call-headers.ts';
import { startCountingServer } from '../support/counting-server.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { pollUntil } from '../support/poll-until.ts';
import { adminToken, guestToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

let gateway: RunningGateway;
let server: Awaited<ReturnType<typeof startCountingServer>>;
let replica: Awaited<ReturnType<typeof startGatewayProcess>>;
let replicaUrl: string;

const callTool = 'action == Quarterdeck::Action::"callTool", resource';
const asks = `@id("ask") @approve("role:reviewer") @expires("1h") @reason("It leaves the house.")
forbid (principal, ${callTool}) when { context.arguments.paths.contains("/out/post") } unless { context.approvedCall };`;
const strict = `@id("never") forbid (principal, ${callTool}) when { context.arguments.paths.contains("/out/late") };`;
const asksLate = `@id("ask") @approve("role:reviewer") forbid (principal, ${callTool}) when { context.arguments.paths.contains("/out/late") } unless { context.approvedCall };`;
const picky = `@approve("role:reviewer") forbid (principal, ${callTool}) when { context.arguments.paths.contains("/out/picky") } unless { context.approvedCall };
@id("not-rita") forbid (principal, ${callTool}) when { context.arguments.paths.contains("/out/picky") && context.approvers.contains(Quarterdeck::User::"default/rita") };`;
const policySet = (name: string, cedar: string) => ({ kind: 'PolicySet', metadata: { name }, spec: { cedar } });

beforeAll(async () => {
  server = await startCountingServer();
  gateway = await startRunningGateway();
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url, timeoutSeconds: 5 } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
    {
      kind: 'AccessBinding',
      metadata: { name: 'readers' },
      spec: { subjects: [{ agentRole: 'reader' }, { group: 'guests' }], toolsets: ['counting'] },
    },
    policySet('outgoing', asks),
    policySet('late', asksLate),
    policySet('picky', picky),
  );
  await gateway.ready('counting');
  const port = await freePort();
  replicaUrl = `http://127.0.0.1:${port}`;
  replica = await startGatewayProcess({ ...gateway.config, port, publicUrl: replicaUrl });
});
afterAll(async () => {
  await replica.close();
  await gateway.close();
  await server.close();
});

const post = { path: '/out/post', value: 'x' };
type Call = { token?: string; name?: string; operationId?: string; arguments?: object; url?: string };

const call = async ({ token = guestToken, name = 'act', operationId, arguments: given = post, url = gateway.publicUrl }: Call = {}) => {
  const response = await fetch(`${url}/mcp/default/default/counting`, {
    method: 'POST',
    headers: callHeaders(token, operationId),
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: given } }),
  });
  const text = await response.text();
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
  return JSON.parse(text.startsWith('{') ? text : (/^data: (\{.*)$/m.exec(text)?.[1] ?? '{}')) as any;
};

/** Answers as a reviewer would by the api. */
const answer = async (id: string, verdict: Verdict = 'approve') => {
  const key = { ...defaultTenancy, id };
  const { digest, rules } = await getApproval(gateway.database, key);
  const given = { person: 'rita', verdict, digest, policies: rules.map(({ policy }) => policy), stamp: 'token', comment: null };
  return decideApproval(gateway.database, openAuditLog(gateway.database), key, { ...given, decisionId: 'dec_r' }, approvalEvent(verdict), {
    mayApproveOwn: false,
  });
};
const approvalIn = (refused: { error: { data: { approvalId: string } } }): string => refused.error.data.approvalId;
const newOperation = () => `op-${randomUUID()}`;

describe('a call that needs a person', () => {
  test('is refused with its approval and what to do, runs once after it, and a retry finds the outcome', async () => {
    const operationId = newOperation();
    const before = server.countOf('act');
    const first = await call({ operationId });
    expect(first.error.message).toMatch(
      /^act: a person has to approve this call \(approval apr_\w{16}, until .* UTC\)\. It leaves the house\. role:reviewer decides with `quarterdeck approvals approve apr_\w+`; then make the same call again, with the same operation id\.$/,
    );
    expect(first.error.data).toMatchObject({ code: 'needs_person', retryable: false, approvalState: 'pending' });
    const id = approvalIn(first);
    expect(approvalIn(await call({ operationId })), 'the same call finds the same approval').toBe(id);
    expect(server.countOf('act')).toBe(before);
    await answer(id);
    const ran = await call({ operationId });
    expect(ran.result.content[0].text).toMatch(/^call \d+ of act$/);
    expect(await call({ operationId })).toEqual(ran);
    expect(server.countOf('act')).toBe(before + 1);
    expect(await getApproval(gateway.database, { ...defaultTenancy, id })).toMatchObject({
      state: 'consumed',
      operationId,
      person: 'guest',
    });
  });

  test('leaves a row of the audit for each thing that happened to it, and its id in those of the call', async () => {
    const operationId = newOperation();
    const id = approvalIn(await call({ operationId }));
    await answer(id);
    await call({ operationId });
    const rows = await pollUntil(async () => {
      const found = (await gateway.audit({ limit: 500 })).filter((row) => row.operationId === operationId);
      // the refusal waits for no commit, so its row may come after those of the operation
      return ['refusal', 'outcome'].every((kind) => found.some((row) => row.kind === kind)) ? found : undefined;
    }, 'the refusal and the outcome');
    const approval = `Approval/${id}`;
    expect(rows.filter(({ resource }) => resource === approval).map(({ action }) => action)).toEqual(['askApproval', 'useApproval']);
    const ofCall = (kind: string) => rows.filter((row) => row.action === 'callTool' && row.kind === kind);
    expect(rows.filter(({ action }) => action === 'callTool')).toHaveLength(3);
    expect(['refusal', 'intent', 'outcome'].map((kind) => ofCall(kind).map(({ errorCode, facts }) => [errorCode, facts.approval]))).toEqual(
      [[['needs_person', id]], [[null, id]], [[null, id]]],
    );
    expect(rows.find(({ action }) => action === 'askApproval')).toMatchObject({ policies: ['policyset/outgoing/ask'], person: 'guest' });
  });

  test('a call that differs in one character needs an approval of its own', async () => {
    const operationId = newOperation();
    const id = approvalIn(await call({ operationId }));
    await answer(id);
    const before = server.countOf('act');
    const other = await call({ operationId, arguments: { ...post, value: 'y' } });
    expect(other.error.data).toMatchObject({ code: 'needs_person', approvalState: 'pending' });
    expect(approvalIn(other)).not.toBe(id);
    const somebodyElse = await call({ operationId, token: adminToken });
    expect([id, approvalIn(other)]).not.toContain(approvalIn(somebodyElse));
    expect(server.countOf('act')).toBe(before);
  });

  test('that was denied, or not approved in time, is refused saying so', async () => {
    const denied = newOperation();
    await answer(approvalIn(await call({ operationId: denied })), 'deny');
    expect((await call({ operationId: denied })).error).toMatchObject({
      message: expect.stringContaining('a person refused this call'),
      data: { code: 'approval_denied' },
    });
    const late = newOperation();
    const id = approvalIn(await call({ operationId: late }));
    await answer(id);
    await runOut(gateway.database, id);
    expect((await call({ operationId: late })).error.data).toMatchObject({ code: 'approval_expired', approvalId: id });
  });

  test('is asked about again before it runs: what forbids it by then wins, and the approval is not used up', async () => {
    const given = { path: '/out/late' };
    const operationId = newOperation();
    const id = approvalIn(await call({ operationId, arguments: given }));
    await answer(id);
    await gateway.apply(policySet('late', `${asksLate} ${strict}`));
    await pollUntil(async () => {
      const { error } = await call({ operationId: newOperation(), arguments: given });
      return error.data.code === 'argument_refused' || undefined;
    }, 'the stricter policy');
    expect((await call({ operationId, arguments: given })).error.message).toContain('policyset/late/never');
    expect((await getApproval(gateway.database, { ...defaultTenancy, id })).state).toBe('approved');
  });

  test('does not run for an approver whom a policy does not accept', async () => {
    const given = { path: '/out/picky' };
    const operationId = newOperation();
    const id = approvalIn(await call({ operationId, arguments: given }));
    await answer(id);
    expect((await call({ operationId, arguments: given })).error).toMatchObject({
      message: expect.stringContaining('policyset/picky/not-rita'),
      data: { code: 'argument_refused' },
    });
    expect((await getApproval(gateway.database, { ...defaultTenancy, id })).state).toBe('approved');
  });

  test('is on the lists of whoever may use it', async () => {
    expect(await gateway.ready('counting')).toContain('"act"');
  });

  test('is done once also where the tool only reads', async () => {
    const operationId = newOperation();
    const before = server.countOf('look');
    await answer(approvalIn(await call({ operationId, name: 'look' })));
    const ran = await call({ operationId, name: 'look' });
    expect(await call({ operationId, name: 'look' })).toEqual(ran);
    expect(server.countOf('look')).toBe(before + 1);
  });

  test('of an agent needs nothing else, and is not counted as refused', async () => {
    const { id: agentId } = await gateway.addAgent();
    const token = await gateway.mint(agentId, `${gateway.publicUrl}/mcp/default/default/counting`);
    const operationId = `${agentId}/step-1/call-0`;
    const refused = await call({ token, operationId });
    const approval = await getApproval(gateway.database, { ...defaultTenancy, id: approvalIn(refused) });
    expect(approval).toMatchObject({ principal: `agent:${agentId}`, agent: agentId, person: 'admin', role: 'reader', fleet: 'survey' });
    await answer(approval.id);
    expect((await call({ token, operationId })).result).toBeDefined();
    const { rows } = await gateway.database.$client.query('select refusals, calls from agents where id = $1', [agentId]);
    expect(rows).toEqual([{ refusals: 0, calls: 1 }]);
  });

  test('that nobody could read cannot be approved', async () => {
    const huge = await call({ operationId: newOperation(), arguments: { ...post, value: 'x'.repeat(300_000) } });
    expect(huge.error.data.code).toBe('request_too_large');
  });
});

describe('races', () => {
  test('one approved call made 50 times at once at two replicas runs once', async () => {
    const operationId = newOperation();
    const before = server.countOf('act');
    await answer(approvalIn(await call({ operationId })));
    const calls = Array.from({ length: 50 }, (_, n) => call({ operationId, url: n % 2 === 0 ? gateway.publicUrl : replicaUrl }));
    const answers = await Promise.all(calls);
    expect(server.countOf('act')).toBe(before + 1);
    const texts = new Set(answers.flatMap(({ result }) => result?.content[0].text ?? []));
    expect(texts.size).toBe(1);
    for (const { error } of answers) if (error) expect(error.data.code).toBe('operation_in_progress');
  });

  test('an approval is of no use to 50 others who make the same call at once: under other ids, without one, and as somebody else', async () => {
    const operationId = newOperation();
    const given = { ...post, value: 'borrowed approval' };
    const before = server.countOf('act');
    const id = approvalIn(await call({ operationId, arguments: given }));
    await answer(id);
    const others = await Promise.all(
      Array.from({ length: 50 }, (_, n) => {
        // few ids, for a caller of whom many calls wait is asked about no more
        const ways: Call[] = [
          { operationId: `${operationId}-${n % 8}` },
          { operationId: operationId.toUpperCase() },
          {},
          { token: adminToken, operationId },
        ];
        return call({ ...ways[n % ways.length], arguments: given, url: n % 3 === 0 ? gateway.publicUrl : replicaUrl });
      }),
    );
    expect(server.countOf('act')).toBe(before);
    for (const { error } of others) expect(['needs_person', 'request_invalid']).toContain(error.data.code);
    expect(others.filter(({ error }) => error.data.approvalId === id)).toEqual([]);
    await gateway.database.$client.query(`delete from approvals where state = 'pending'`);
    expect((await call({ operationId, arguments: given })).result).toBeDefined();
    expect(server.countOf('act')).toBe(before + 1);
  });

  test('of 50 calls without an id at two replicas one runs, and the others wait for a person anew', async () => {
    const given = { ...post, value: 'unnamed race' };
    const before = server.countOf('act');
    const asked = await Promise.all(
      Array.from({ length: 10 }, (_, n) => call({ arguments: given, url: n % 2 === 0 ? gateway.publicUrl : replicaUrl })),
    );
    const ids = new Set(asked.map(approvalIn));
    expect(ids.size).toBe(1);
    await answer([...ids][0] ?? '');
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) => call({ arguments: given, url: n % 2 === 0 ? gateway.publicUrl : replicaUrl })),
    );
    expect(answers.filter(({ result }) => result)).toHaveLength(1);
    expect(server.countOf('act')).toBe(before + 1);
    const others = answers.flatMap(({ error }) => (error ? [error.data] : []));
    expect(new Set(others.map(({ code }) => code))).toEqual(new Set(['needs_person']));
    expect(new Set(others.map(({ approvalId }) => approvalId)).size).toBe(1);
  });
});

test('a client that knows nothing of operation ids calls again after the approval: one post, and a second one is refused', async () => {
  const client = new Client({ name: 'somebody-elses', version: '1' });
  const requestInit = { headers: { authorization: `Bearer ${guestToken}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${gateway.publicUrl}/mcp/counting`), { requestInit }));
  const before = server.countOf('act');
  const send = () => client.callTool({ name: 'act', arguments: { ...post, value: 'by a client' } });
  const refused = await send().catch((error: { data: { code: string; approvalId: string }; message: string }) => error);
  expect(refused).toMatchObject({ data: { code: 'needs_person' }, message: expect.stringContaining('then make the same call again.') });
  await answer((refused as { data: { approvalId: string } }).data.approvalId);
  expect((await send()).content).toEqual([{ type: 'text', text: expect.stringContaining('of act') }]);
  await expect(send()).rejects.toMatchObject({ data: { code: 'needs_person' } });
  expect(server.countOf('act')).toBe(before + 1);
  await client.close();
});

test('an ordinary call asks nothing of the approvals', async () => {
  const rows = async () => (await gateway.database.$client.query('select count(*)::int as n from approvals')).rows[0].n;
  const before = await rows();
  expect((await call({ arguments: { path: '/in/a' } })).result).toBeDefined();
  expect(await rows()).toBe(before);
});
