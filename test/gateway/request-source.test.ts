import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database, url } = useTestDatabase();
let gateway: RunningGateway;
const seen: IncomingHttpHeaders[] = [];
const api = createServer(({ headers }, response) => {
  seen.push(headers);
  response.end('{}');
});

beforeAll(async () => {
  api.listen(0, '127.0.0.1');
  await once(api, 'listening');
  const apiUrl = `http://127.0.0.1:${(api.address() as { port: number }).port}`;
  gateway = await startRunningGateway({ databaseUrl: url(), apiUrl, trustedProxies: ['127.0.0.1'] });
});
afterAll(() => void api.close());

test('what is passed on to the api says where it comes from, in place of what the caller says of that', async () => {
  const headers = { 'x-forwarded-for': '1.1.1.1, 203.0.113.7', forwarded: 'for=203.0.113.7' };
  await fetch(`${gateway.publicUrl}/api/v1alpha1/whoami`, { headers });
  expect(seen.at(-1)).toMatchObject({ 'x-forwarded-for': '203.0.113.7' });
  expect(seen.at(-1)?.forwarded).toBeUndefined();
});

test('callers that nobody knows are counted by where they come from behind the proxy, on long and on short connections', async () => {
  const post = (path: string, forwardedFor: string, body = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}') =>
    fetch(`${gateway.publicUrl}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'x-forwarded-for': forwardedFor },
      body,
    });
  expect((await post('/mcp', '1.1.1.1, 203.0.113.7')).status).toBe(401);
  expect((await post('/mcp', '203.0.113.7', ' '.repeat(70_000))).status).toBe(401);
  expect((await post('/v1/chat/completions', '203.0.113.8')).status).toBe(401);
  await gateway.close();
  const { rows } = await database().$client.query(
    `select facts->>'source' as source, facts->>'door' as door, sum((facts->>'count')::int)::int as count from audit_events
     where kind = 'refusal' and facts ? 'source' group by 1, 2 order by 1, 2`,
  );
  expect(rows).toEqual([
    { source: '203.0.113.7', door: 'mcp', count: 2 },
    { source: '203.0.113.8', door: 'models', count: 1 },
  ]);
});
