import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { modernRequest } from '../support/running-edge.ts';
import { adminToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

/** A server of 2026-07-28 written as text: it says of its one tool's arguments what stands in the request, digit by digit. */
const bodies: string[] = [];
const schema = '{"type":"object","properties":{"id":{"type":"integer","maximum":9223372036854775807}},"required":["id"]}';
const answers: Record<string, (body: string) => string> = {
  'server/discover': () =>
    '{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"private"}',
  'tools/list': () =>
    `{"resultType":"complete","tools":[{"name":"row","inputSchema":${schema},"outputSchema":${schema}}],"ttlMs":0,"cacheScope":"private"}`,
  'tools/call': (body) => `{"resultType":"complete","content":[],"structuredContent":{"id":${/"id":(\d+)\}/.exec(body)?.[1]}}}`,
};
const server = createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8').on('data', (piece) => {
    body += piece;
  });
  request.on('end', () => {
    const { id, method } = JSON.parse(body);
    if (method === 'tools/call') bodies.push(body);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${answers[method]?.(body) ?? '{"resultType":"complete"}'}}`);
  });
});

let gateway: RunningGateway;
beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  gateway = await startRunningGateway();
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'rows' }, spec: { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp` } },
    { kind: 'Toolset', metadata: { name: 'rows' }, spec: { servers: [{ name: 'rows' }], naming: 'plain' } },
  );
  await gateway.ready('rows');
});
afterAll(async () => {
  await gateway.close();
  server.closeAllConnections();
  server.close();
});

const id = '9007199254740993';

test('an identifier beyond 53 bits reaches the server, and comes back, digit by digit', async () => {
  const { headers, body, method } = modernRequest('tools/call', { name: 'row', arguments: { id: 1 } });
  const answer = await fetch(`${gateway.publicUrl}/mcp/rows`, {
    method,
    headers: { ...headers, authorization: `Bearer ${adminToken}`, 'idempotency-key': 'row-1' },
    body: body.replace('"id":1}', `"id":${id}}`),
  });
  const text = await answer.text();
  expect(bodies.at(-1)).toContain(`"arguments":{"id":${id}}`);
  expect(text).toContain(`"structuredContent":{"id":${id}}`);
  // what was kept of the operation says the same
  const again = await fetch(`${gateway.publicUrl}/mcp/rows`, {
    method,
    headers: { ...headers, authorization: `Bearer ${adminToken}`, 'idempotency-key': 'row-1' },
    body: body.replace('"id":1}', `"id":${id}}`),
  });
  expect(await again.text()).toContain(`"structuredContent":{"id":${id}}`);
  expect(bodies).toHaveLength(1);
});
