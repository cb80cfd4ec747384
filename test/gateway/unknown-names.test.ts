import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLiveResources } from '../../gateway/surface/live-resources.ts';
import { createResourceDirectory } from '../../gateway/surface/resource-directory.ts';
import { viewOf } from '../../gateway/surface/view.ts';
import { callHeaders } from '../support/call-headers.ts';
import { startCountingServer } from '../support/counting-server.ts';
import { startHoldableWire } from '../support/holdable-wire.ts';
import { guestToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';
import { createSurfaceFixture, endpointOf, guest, requestOf } from '../support/surface-fixture.ts';

const pairCount = 150;
const names = Array.from({ length: pairCount }, (_, index) => `tool-${index}`);

let server: Awaited<ReturnType<typeof startCountingServer>>;
let wire: Awaited<ReturnType<typeof startHoldableWire>>;
let gateway: RunningGateway;
beforeAll(async () => {
  server = await startCountingServer();
  server.state.tools = names.map((name) => ({ name, inputSchema: { type: 'object' }, annotations: { readOnlyHint: true } }));
  wire = await startHoldableWire(server.port);
  gateway = await startRunningGateway();
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'many' }, spec: { url: wire.url, timeoutSeconds: 20 } },
    { kind: 'Toolset', metadata: { name: 'many' }, spec: { servers: [{ name: 'many' }], naming: 'plain' } },
  );
  await gateway.ready('many');
});
afterAll(async () => {
  await gateway.close();
  wire.close();
  await server.close();
});

/** One call by somebody who was granted nothing. */
const call = async (name: string): Promise<{ ms: number; text: string }> => {
  const beganAt = performance.now();
  const response = await fetch(`${gateway.publicUrl}/mcp/many`, {
    method: 'POST',
    headers: callHeaders(guestToken, undefined),
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} } }),
  });
  const text = await response.text();
  return { ms: performance.now() - beganAt, text };
};
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

/** A surface whose policies count what they are asked. */
const countingFixture = (...parameters: Parameters<typeof createSurfaceFixture>) => {
  const fixture = createSurfaceFixture(...parameters);
  const { policy } = fixture.context;
  const asked = { count: 0 };
  fixture.context.policy = {
    ...policy,
    decideKnown: (...request) => {
      asked.count += 1;
      return policy.decideKnown(...request);
    },
  };
  return { ...fixture, decisions: asked };
};

test('a URI that no server has asks servers and policies what one asks that the caller may not see', async () => {
  const { context, pool, asked, decisions } = countingFixture(
    {
      one: { resources: [{ uri: 'one://a', name: 'a' }] },
      two: { resources: [{ uri: 'two://b', name: 'b' }] },
    },
    { kind: 'Toolset', metadata: { name: 'all' }, spec: { servers: [{ name: 'one' }, { name: 'two' }] } },
  );
  const directory = createResourceDirectory({ context, pool, live: createLiveResources({ context, pool }) });
  /** What looking for a URI asks: the decisions, and the requests to servers. */
  const askedFor = async (uri: string): Promise<[number, number]> => {
    [decisions.count, asked.length] = [0, 0];
    const request = requestOf('resources/read', { uri }, { principal: guest });
    expect((await directory.findResource(request, uri)).source).toBeUndefined();
    return [decisions.count, asked.length];
  };
  await askedFor('one://a');
  const hidden = await askedFor('two://b');
  expect(hidden).toEqual([1, 0]);
  expect(await askedFor('two://c')).toEqual(hidden);
  expect(await askedFor('none://c')).toEqual(hidden);
});

test('a name that nobody offers asks policies as often as one that the caller may never use: the first time, and ever after', () => {
  const fixture = countingFixture({ many: { tools: names.map((name) => ({ name, inputSchema: { type: 'object' } })) } });
  const toolset = { kind: 'Toolset', metadata: { name: 'all' }, spec: { servers: [{ name: 'many' }], naming: 'plain' } };
  /** What three calls of a name ask, of a view that nobody has used. */
  const askedFor = (name: string): number[] => {
    fixture.declare(toolset);
    return [1, 2, 3].map(() => {
      fixture.decisions.count = 0;
      expect(viewOf(fixture.context, guest, endpointOf('/mcp/all')).find('tool', name).item).toBeUndefined();
      return fixture.decisions.count;
    });
  };
  for (const name of names.slice(0, 20)) {
    const forbidden = askedFor(name);
    expect(forbidden).toEqual([expect.any(Number), 0, 0]);
    expect(forbidden[0]).toBeGreaterThan(0);
    expect(askedFor(`no-${name}`)).toEqual(forbidden);
  }
});

test('the two are answered in the same time, whatever state the server behind is in, which is asked nothing', {
  timeout: 120_000,
}, async () => {
  // whatever is asked of it from now on waits for twenty seconds
  wire.state.holds = true;
  const forbidden: number[] = [];
  const unknown: number[] = [];
  for (const [index, name] of names.entries()) {
    const pair = [
      { name, times: forbidden },
      { name: name.replace('tool', 'none'), times: unknown },
    ];
    // in turns, so that neither is the one that comes after the other
    for (const each of index % 2 === 0 ? pair : pair.toReversed()) {
      const { ms, text } = await call(each.name);
      expect(JSON.parse(text).error).toMatchObject({ code: -32602, data: { code: 'tool_unknown' } });
      each.times.push(ms);
    }
  }
  wire.state.holds = false;
  const [ofForbidden, ofUnknown] = [median(forbidden), median(unknown)];
  const said = `forbidden ${ofForbidden.toFixed(2)} ms, unknown ${ofUnknown.toFixed(2)} ms`;
  expect(ofForbidden, said).toBeLessThan(2 * ofUnknown + 1);
  expect(ofUnknown, said).toBeLessThan(2 * ofForbidden + 1);
  expect(Math.max(...forbidden, ...unknown), said).toBeLessThan(20_000);
  // to whoever reads the record they are two things
  const row = (tool: string) => gateway.auditRow((one) => one.tool === tool && one.errorCode === 'tool_unknown');
  expect((await row('tool-149')).policyVersion).toMatch(/^[0-9a-f]{16}$/);
  expect((await row('none-149')).policyVersion).toBeNull();
});
