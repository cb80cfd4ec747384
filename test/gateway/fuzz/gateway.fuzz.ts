import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCountingServer } from '../../support/counting-server.ts';
import { adminToken, type RunningGateway, startRunningGateway } from '../../support/running-gateway.ts';
import { faultOf, fuzzEdge } from './fuzz-edge.ts';
import type { FuzzTarget } from './fuzz-target.ts';
import { regressions } from './regressions.ts';

const claimedMinutes = 10;
const minutes = Number(process.env.FUZZ_MINUTES ?? claimedMinutes);
const claim = 'ten minutes of requests that nobody would send end without a 500, a crash, a hang or growth of memory';

let server: Awaited<ReturnType<typeof startCountingServer>>;
let gateway: RunningGateway;
let target: FuzzTarget;

const openSession = async (): Promise<string> => {
  const answer = await fetch(`${gateway.publicUrl}/mcp/counting`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${adminToken}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'fuzz', version: '1' } },
    }),
  });
  await answer.text();
  return answer.headers.get('mcp-session-id') ?? '';
};

beforeAll(async () => {
  server = await startCountingServer();
  gateway = await startRunningGateway();
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
  );
  await gateway.ready('counting');
  const sessions = await Promise.all(Array.from({ length: 50 }, openSession));
  target = { port: gateway.config.port, token: adminToken, path: '/mcp/counting', tool: 'look', sessions };
});
afterAll(async () => {
  await gateway.close();
  await server.close();
});

test.each(regressions)('$what ends well', async ({ bytes }) => {
  expect(await faultOf(target, { bytes: Buffer.from(bytes(target), 'latin1'), tears: [] })).toBeUndefined();
});

// a shorter run has another name, so that it proves nothing
test(minutes >= claimedMinutes ? claim : `${minutes} minutes of requests that nobody would send`, async () => {
  const sent = await fuzzEdge(target, { durationMs: minutes * 60_000 });
  process.stdout.write(`${sent} requests\n`);
  expect(await gateway.ready('counting')).toContain('look');
});
