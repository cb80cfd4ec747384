import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startBothEras } from '../support/both-eras.ts';
import { cancelledCalls } from '../support/conformance/fixture-tools.ts';
import { pollUntil } from '../support/poll-until.ts';
import { adminToken, type RunningGateway } from '../support/running-gateway.ts';
import { connectLegacyPeer, connectModernPeer, type Peer } from '../support/sdk-peers.ts';

const clients = [
  { client: 'a 2025-11-25 client', connect: connectLegacyPeer },
  { client: 'a 2026-07-28 client', connect: connectModernPeer },
];
const servers = [
  { server: 'a 2025-11-25 server', name: 'legacy' },
  { server: 'a 2026-07-28 server', name: 'modern' },
];

let gateway: RunningGateway;
let close: () => Promise<void>;
beforeAll(async () => {
  ({ gateway, close } = await startBothEras());
});
afterAll(() => close());

const cells = clients.flatMap(({ client, connect }) =>
  servers.map(({ server, name }) => ({ cell: `${client}, ${server}`, connect, name })),
);
const textOf = (result: Record<string, unknown>): string => ((result.content as { text?: string }[])[0]?.text ?? '') as string;

describe.each(cells)('$cell', ({ cell, connect, name }) => {
  let peer: Peer;
  beforeAll(async () => {
    peer = await connect(`${gateway.publicUrl}/mcp/${name}`, adminToken);
  });
  afterAll(() => peer.close());

  test('lists and calls tools', async () => {
    expect(await peer.listTools()).toContain('test_simple_text');
    expect(textOf(await peer.callTool('test_simple_text'))).toBe('This is a simple text response for testing.');
    expect(await peer.callTool('test_error_handling')).toMatchObject({ isError: true });
  });

  test('lists and reads resources and templates', async () => {
    expect(await peer.listResources()).toContain('test://static-text');
    expect(await peer.listTemplates()).toEqual(['test://template/{id}/data']);
    expect(await peer.readResource('test://static-text')).toMatchObject({ contents: [{ uri: 'test://static-text' }] });
    expect(await peer.readResource('test://template/7/data')).toMatchObject({ contents: [{ uri: 'test://template/7/data' }] });
    await expect(peer.readResource('test://nowhere')).rejects.toThrow();
  });

  test('lists, renders and completes prompts', async () => {
    expect(await peer.listPrompts()).toContain('test_simple_prompt');
    const rendered = await peer.getPrompt('test_prompt_with_arguments', { arg1: 'one', arg2: 'two' });
    expect(JSON.stringify(rendered)).toContain("arg1='one', arg2='two'");
    expect(await peer.complete('test_prompt_with_arguments', { name: 'arg1', value: 'o' })).toMatchObject({ completion: { values: [] } });
  });

  test('hears the progress of its own call, in order, and its log messages', async () => {
    const seen: number[] = [];
    await peer.callTool('test_tool_with_progress', {}, { onProgress: ({ progress }) => void seen.push(progress) });
    expect(seen).toEqual([0, 50, 100]);
    await peer.callTool('test_tool_with_logging');
    await pollUntil(async () => peer.logs.includes('Tool execution completed'), 'the last log message');
    expect(peer.logs).toEqual(['Tool execution started', 'Tool processing data', 'Tool execution completed']);
  });

  test('is asked for input in the middle of a call: a form, a sample, roots', async () => {
    expect(textOf(await peer.callTool('test_input_required_result_elicitation'))).toBe('Hello, Alice!');
    expect(textOf(await peer.callTool('test_input_required_result_sampling'))).toBe('Sampling result: Paris');
    expect(textOf(await peer.callTool('test_input_required_result_list_roots'))).toBe('Found 1 root(s)');
  });

  test('is asked twice in one call, three things at once, and for a prompt', async () => {
    expect(textOf(await peer.callTool('test_input_required_result_multi_round'))).toBe('Multi-round complete for Alice who likes blue');
    expect(textOf(await peer.callTool('test_input_required_result_multiple_inputs'))).toBe('Name: Alice; Greeting: Paris; Roots: 1');
    expect(JSON.stringify(await peer.getPrompt('test_input_required_result_prompt'))).toContain('Prompt with context: night');
  });

  test('cancels its call, and the server hears of it within a second', async () => {
    const label = `cancel in ${cell}`;
    const leave = new AbortController();
    const call = peer.callTool('slow_compute', { seconds: 60, label }, { signal: leave.signal });
    const ended = call.then(
      () => 'answered',
      () => 'cancelled',
    );
    await gateway.auditRow(({ kind, tool, facts }) => kind === 'intent' && tool === 'slow_compute' && facts !== null);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const leftAt = performance.now();
    leave.abort(new Error('enough'));
    expect(await ended).toBe('cancelled');
    await pollUntil(async () => cancelledCalls.has(label), 'the server to hear of it');
    expect(performance.now() - leftAt).toBeLessThan(1000);
  });

  test('hears that lists changed, and finds them changed', async () => {
    for (const [kind, tool, list, item] of [
      ['tools', 'test_trigger_tool_change', () => peer.listTools(), 'test_toggled_tool'],
      ['prompts', 'test_trigger_prompt_change', () => peer.listPrompts(), 'test_toggled_prompt'],
    ] as const) {
      for (const isThere of [false, true]) {
        peer.changedLists.length = 0;
        await peer.callTool(tool);
        await pollUntil(async () => peer.changedLists.includes(kind), `${kind}/list_changed`);
        expect((await list()).includes(item)).toBe(isThere);
      }
    }
  });
});
