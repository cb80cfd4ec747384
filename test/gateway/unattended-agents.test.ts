import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCountingServer } from '../support/counting-server.ts';
import { modernRequest } from '../support/running-edge.ts';
import { type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

let gateway: RunningGateway;
let server: Awaited<ReturnType<typeof startCountingServer>>;

beforeAll(async () => {
  server = await startCountingServer();
  gateway = await startRunningGateway();
  const cedar = `@id("attended") forbid (principal, action == Quarterdeck::Action::"callTool", resource)
when { !resource.hints.readOnly } unless { context.who.hasHuman };`;
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
    { kind: 'AccessBinding', metadata: { name: 'readers' }, spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['counting'] } },
    { kind: 'PolicySet', metadata: { name: 'attended' }, spec: { cedar } },
  );
  await gateway.ready('counting');
});
afterAll(async () => {
  await gateway.close();
  await server.close();
});

const audience = () => `${gateway.publicUrl}/mcp/default/default/counting`;
const call = async (token: string, name: string) => {
  const request = modernRequest(
    'tools/call',
    { name, arguments: {} },
    { headers: { authorization: `Bearer ${token}`, accept: 'application/json' } },
  );
  const response = await fetch(audience(), request);
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
  return { status: response.status, body: (await response.json()) as any };
};

test('an agent of a run that a machine launched acts for itself: its token is its own, and policies see that nobody stands behind it', async () => {
  const { id, runId } = await gateway.addAgent();
  await gateway.database.$client.query(`update runs set started_by = 'client-default-nightly' where id = $1`, [runId]);
  // a token that names a person, as if somebody had asked for this, is none of this run
  expect((await call(await gateway.mint(id, audience(), { sub: 'default/admin' }), 'look')).status).toBe(401);
  // an issuer of the release before named the machine: the rows say who it is, and no more is allowed by such a token
  for (const sub of [id, 'default/client-default-nightly']) {
    const token = await gateway.mint(id, audience(), { sub });
    expect((await call(token, 'look')).body.result).toBeDefined();
    // what is never allowed to a caller is as unknown to them as what does not exist
    expect((await call(token, 'act')).body.error).toMatchObject({ data: { code: 'tool_unknown' } });
  }
  const row = await gateway.auditRow(({ agent, tool }) => agent === id && tool === 'look');
  expect(row).toMatchObject({ agent: id, person: 'client-default-nightly', outcome: 'ok' });
});

test('an agent of a person’s run is theirs', async () => {
  const { id } = await gateway.addAgent();
  expect((await call(await gateway.mint(id, audience(), { sub: id }), 'look')).status).toBe(401);
  expect((await call(await gateway.mint(id, audience()), 'act')).body.result).toBeDefined();
});
