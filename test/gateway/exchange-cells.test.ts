import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject, Reply } from '../../gateway/mcp/message.ts';
import { startFixtureReplicas } from '../support/fixture-replicas.ts';
import { askable, errorOf, hearing, legacyClient, personOf, resultOf, type SurfaceReplica } from '../support/surface-replica.ts';

const answers: Record<string, JsonObject> = {
  'elicitation/create': { action: 'accept', content: { name: 'Alice', ok: true, color: 'blue', response: 'yes' } },
  'sampling/createMessage': { role: 'assistant', model: 'm', content: { type: 'text', text: 'Paris' } },
  'roots/list': { roots: [{ uri: 'file:///work', name: 'work' }] },
};
const answer = ({ method }: { method: string }): Reply => ({ kind: 'result', result: answers[method] ?? {} });

let fixtures: Awaited<ReturnType<typeof startFixtureReplicas>>;
beforeAll(async () => {
  fixtures = await startFixtureReplicas();
});
afterAll(() => fixtures.close());

const replica = (index = 0): SurfaceReplica => fixtures.replicas[index] as SurfaceReplica;
const textOf = (reply: Reply): string => ((resultOf(reply).content as { text: string }[])[0]?.text ?? '') as string;

/** Makes the rounds as a modern client does: answers, and calls again, each time at the next replica. */
const inRounds = async (
  toolset: string,
  name: string,
  { capabilities = askable, at = [0] }: { capabilities?: JsonObject; at?: number[] } = {},
) => {
  let rest: JsonObject = {};
  for (let round = 0; round < 12; round += 1) {
    const reply = await replica(at[round % at.length]).call(name, {}, { toolset, capabilities, rest });
    const { resultType, inputRequests = {}, requestState } = resultOf(reply);
    if (resultType !== 'input_required') return { reply, rounds: round };
    const inputResponses = Object.fromEntries(
      Object.entries(inputRequests as JsonObject).map(([key, question]) => [key, answers[(question as { method: string }).method]]),
    );
    rest = { inputResponses, requestState };
  }
  throw new Error('no end');
};

const questions = [
  { what: 'a form', tool: 'test_input_required_result_elicitation', says: 'Hello, Alice!' },
  { what: 'a sample', tool: 'test_input_required_result_sampling', says: 'Paris' },
  { what: 'roots', tool: 'test_input_required_result_list_roots', says: '1' },
];

describe.each(['legacy', 'modern'])('a %s server', (toolset) => {
  test.each(questions)('asks a legacy client for $what in the middle of the call', async ({ tool, says }) => {
    const asked: string[] = [];
    const client = legacyClient((question) => {
      asked.push(question.method);
      return answer(question);
    });
    expect(textOf(await replica().call(tool, {}, { toolset, ...client }))).toContain(says);
    expect(asked).toHaveLength(1);
  });

  test.each(questions)('gets $what from a modern client in a second round', async ({ tool, says }) => {
    const { reply, rounds } = await inRounds(toolset, tool);
    expect(textOf(reply)).toContain(says);
    expect(rounds).toBe(1);
  });

  test('gets several answers at once, and goes through several rounds, at any replica', async () => {
    expect(resultOf((await inRounds(toolset, 'test_input_required_result_multiple_inputs', { at: [0, 1] })).reply).isError).toBeFalsy();
    const { reply, rounds } = await inRounds(toolset, 'test_input_required_result_multi_round', { at: [0, 1, 1, 0] });
    expect(resultOf(reply).isError).toBeFalsy();
    expect(rounds).toBe(2);
  });

  test('tells progress under the client’s own token, and the log messages that the client wants, in order', async () => {
    const progress = hearing();
    await replica().call('test_tool_with_progress', {}, { toolset, notify: progress.notify, rest: { _meta: { progressToken: 'mine' } } });
    expect(progress.said.map(({ params }) => [params?.progressToken, params?.progress])).toEqual([
      ['mine', 0],
      ['mine', 50],
      ['mine', 100],
    ]);
    const logs = hearing();
    await replica().call('test_tool_with_logging', {}, { toolset, notify: logs.notify, logLevel: 'info' });
    expect(logs.said.map(({ params }) => params?.data)).toEqual([
      'Tool execution started',
      'Tool processing data',
      'Tool execution completed',
    ]);
    const none = hearing();
    await replica().call('test_tool_with_logging', {}, { toolset, notify: none.notify, logLevel: 'error' });
    await replica().call('test_tool_with_progress', {}, { toolset, notify: none.notify });
    expect(none.said).toEqual([]);
  });
});

describe('the state of a round', () => {
  const first = async (toolset: string) => resultOf(await replica().call('test_input_required_result_elicitation', {}, { toolset }));
  const inputResponses = { user_name: answers['elicitation/create'], 'question-1': answers['elicitation/create'] };

  test.each(['legacy', 'modern'])('opens for nobody else and for nothing else (%s server)', async (toolset) => {
    const { requestState } = await first(toolset);
    const rest = { requestState, inputResponses };
    const tool = 'test_input_required_result_elicitation';
    const refused = [
      await replica().call(tool, {}, { toolset, rest, principal: personOf('other') }),
      await replica().call('test_input_required_result_sampling', {}, { toolset, rest }),
      await replica().call(tool, { other: 1 }, { toolset, rest }),
      await replica().call(tool, {}, { toolset: toolset === 'legacy' ? 'modern' : 'legacy', rest }),
      await replica().call(tool, {}, { toolset, rest: { ...rest, requestState: `${requestState}-TAMPERED` } }),
      await replica().call(tool, {}, { toolset, rest: { ...rest, requestState: 7 } }),
    ];
    for (const reply of refused) expect(errorOf(reply)).toMatchObject({ code: -32602, message: expect.stringContaining('requestState') });
    expect(textOf(await replica(1).call(tool, {}, { toolset, rest }))).toBe('Hello, Alice!');
  });

  test('a client that has not declared a capability is asked nothing, and hears what is missing', async () => {
    const reply = await replica().call('test_input_required_result_elicitation', {}, { toolset: 'modern', capabilities: { sampling: {} } });
    expect(errorOf(reply)).toMatchObject({ code: -32021, data: { requiredCapabilities: { elicitation: {} } } });
  });

  test('answers without a state go to the server as they are', async () => {
    const reply = await replica().call(
      'test_input_required_result_elicitation',
      {},
      { toolset: 'modern', rest: { inputResponses: { wrong_key: { action: 'accept' } } } },
    );
    expect(resultOf(reply)).toMatchObject({ resultType: 'input_required', inputRequests: { user_name: { method: 'elicitation/create' } } });
  });
});

describe('a client that cannot be asked', () => {
  test('a legacy client without a stream is told within a second', async () => {
    const { ask: _none, ...client } = legacyClient(answer);
    const startedAt = performance.now();
    const reply = await replica().call('test_input_required_result_elicitation', {}, { toolset: 'modern', ...client });
    expect(errorOf(reply)).toMatchObject({ code: -32010, data: { code: 'client_unreachable' } });
    const legacy = await replica().call('test_input_required_result_elicitation', {}, { toolset: 'legacy', ...client });
    expect(JSON.stringify(legacy)).toMatch(/no stream open|client_unreachable/);
    expect(performance.now() - startedAt).toBeLessThan(2000);
  });
});
