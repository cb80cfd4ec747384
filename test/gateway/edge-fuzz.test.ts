import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ClientRequest } from '../../gateway/mcp/client-request.ts';
import type { Reply } from '../../gateway/mcp/message.ts';
import { edgeToken, type RunningEdge, startRunningEdge, unknownMethod } from '../support/running-edge.ts';
import { faultOf, fuzzEdge } from './fuzz/fuzz-edge.ts';
import type { FuzzTarget } from './fuzz/fuzz-target.ts';
import { regressions } from './fuzz/regressions.ts';

let edge: RunningEdge;
let target: FuzzTarget;

const handle = async ({ method, params, signal }: ClientRequest): Promise<Reply> => {
  edge.requests.length = 0;
  if (method === 'subscriptions/listen') await new Promise((resolve) => signal.addEventListener('abort', resolve));
  return method === 'tools/call' ? { kind: 'result', result: { echo: params } } : unknownMethod(method);
};

beforeAll(async () => {
  edge = await startRunningEdge({ handle });
  target = { port: edge.port, token: edgeToken, path: '/mcp/echo', tool: 'echo', sessions: ['a-session'] };
});
afterAll(() => edge.close());

test.each(regressions)('$what ends well', async ({ bytes }) => {
  expect(await faultOf(target, { bytes: Buffer.from(bytes(target), 'latin1'), tears: [] })).toBeUndefined();
});

test('ten seconds of requests that nobody would send end without a 500, a hang or growth of memory', { timeout: 60_000 }, async () => {
  const sent = await fuzzEdge(target, { durationMs: 10_000 });
  expect(sent).toBeGreaterThan(500);
  expect((await edge.post('tools/call', { name: 'echo' })).status).toBe(200);
});
