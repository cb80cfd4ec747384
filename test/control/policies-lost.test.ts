import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPolicySigner } from '../../store/secrets/policy-signature.ts';
import { type PolicyPlace, startPolicyPlace } from '../support/policy-place.ts';
import { pollUntil } from '../support/poll-until.ts';
import { adminToken } from '../support/running-gateway.ts';

const apiVersion = 'quarterdeck.dev/v1alpha1';
const permitAll = 'permit (principal, action, resource);';
const forbidX = `@id("no-x")
forbid (principal is Quarterdeck::Agent, action == Quarterdeck::Action::"callTool", resource) when { context.arguments.paths.contains("/x") };`;
const policySet = (cedar: string) => ({ apiVersion, kind: 'PolicySet', metadata: { name: 'paths' }, spec: { cedar } });

let place: PolicyPlace;
beforeAll(async () => {
  place = await startPolicyPlace({
    // instead of an hour
    gateway: { policyGraceMs: 1_500 },
    resources: [
      { kind: 'AccessBinding', metadata: { name: 'readers' }, spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['counting'] } },
    ],
  });
  // a neighbour, whose policies nobody touches
  const metadata = { name: 'counting', project: 'other' };
  await place.gateway.apply(
    { kind: 'Project', metadata: { ...metadata, name: 'other' }, spec: {} },
    { kind: 'McpServer', metadata, spec: { url: place.server.url, timeoutSeconds: 5 } },
    { kind: 'Toolset', metadata, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
  );
});
afterAll(() => place.close());

const connect = async (path: string, onChanged = (): void => undefined): Promise<Client> => {
  const client = new Client({ name: 'somebody-elses', version: '1' });
  client.setNotificationHandler(ToolListChangedNotificationSchema, onChanged);
  const requestInit = { headers: { authorization: `Bearer ${adminToken}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${place.gateway.publicUrl}${path}`), { requestInit }));
  return client;
};
const toolsAt = async (path: string): Promise<string[]> => {
  const client = await connect(path);
  const { tools } = await client.listTools();
  await client.close();
  return tools.map(({ name }) => name);
};
const isRefused = async (token: string, path: string): Promise<boolean> => (await place.call(token, 'look', { path })).result === undefined;
const publish = () =>
  place.request('POST', '/default/default/policy/publish', { body: { documents: [policySet(forbidX)], acceptFlips: true } });
const lastRow = async () =>
  (await place.database.$client.query('select version, content from policy_bundles order by version desc limit 1')).rows[0];

test('published policies that are lost are stood in for by the last good ones for a time; then everything is denied to everybody, after a new start too, until good ones are published', {
  timeout: 90_000,
}, async () => {
  const { database, gateway, server } = place;
  expect((await publish()).status).toBe(201);
  const isInForce = async () => {
    // one for each look: what an agent may call is counted
    const reader = await place.agentToken('reader');
    return (await isRefused(reader, '/x')) && !(await isRefused(reader, '/ok'));
  };
  await pollUntil(async () => (await isInForce()) || undefined, 'what was published is in force');
  let told = 0;
  const standing = await connect('/mcp/counting', () => {
    told += 1;
  });
  expect((await standing.listTools()).tools).toHaveLength(3);
  await pollUntil(async () => ((await toolsAt('/mcp/default/other/counting')).length === 3 ? true : undefined), 'the neighbour');

  // what the tables say beside what was published would let everything through
  await gateway.apply(policySet(permitAll));
  const { version } = await lastRow();
  await database.$client.query('delete from policy_bundles');
  await database.$client.query("select pg_notify('quarterdeck_declared', 'x')");
  await pollUntil(async () => {
    expect(await isRefused(await place.agentToken('reader'), '/x')).toBe(true);
    return (await isRefused(adminToken, '/ok')) || undefined;
  }, 'everything is denied');
  const before = server.calls.length;
  // also to administrators, on the session that stood meanwhile, which was told
  await pollUntil(async () => told > 0 || undefined, 'the standing session hears of it');
  expect((await standing.listTools()).tools).toEqual([]);
  await expect(standing.callTool({ name: 'look', arguments: {} })).rejects.toMatchObject({ code: -32602 });
  await standing.close();
  expect(await toolsAt('/mcp/default/other/counting')).toHaveLength(3);

  // somebody puts one of their own in its place, and starts the gateway anew: both are no way out
  const content = JSON.stringify({
    org: 'default',
    project: 'default',
    version: version + 1,
    policySets: [{ name: 'p', cedar: permitAll }],
  });
  const put = (forged: string | null) =>
    forged === null
      ? database.$client.query('delete from policy_bundles')
      : database.$client.query(
          "insert into policy_bundles (org, project, version, content, signature, published_by) values ('default', 'default', $1, $2, $3, 'x')",
          [version + 1, content, forged],
        );
  for (const forged of [createPolicySigner('another secret of 32 characters or more')(content), null]) {
    await put(forged);
    await gateway.restart();
    await pollUntil(async () => ((await toolsAt('/mcp/default/other/counting')).length === 3 ? true : undefined), 'the neighbour');
    expect(await toolsAt('/mcp/counting')).toEqual([]);
    const another = await place.agentToken('reader');
    for (const path of ['/ok', '/x']) expect(await isRefused(another, path)).toBe(true);
  }
  expect(server.calls.length).toBe(before);

  expect(await publish()).toMatchObject({ status: 201, body: { version: version + 1 } });
  await pollUntil(async () => (await isInForce()) || undefined, 'good policies are in force');
  expect(await toolsAt('/mcp/counting')).toHaveLength(3);
});
