import { describe, expect, onTestFinished, test } from 'vitest';
import { type ScriptedAnswer, startScriptedModel } from './scripted-model.ts';

const start = async (answer: ScriptedAnswer | ((call: number) => ScriptedAnswer), options = {}) => {
  const model = await startScriptedModel({ answer: (_, call) => (typeof answer === 'function' ? answer(call) : answer), ...options });
  onTestFinished(() => model.close());
  const ask = (body: object = {}, init: RequestInit = {}) =>
    fetch(`${model.url}/chat/completions`, {
      method: 'POST',
      body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello' }], ...body }),
      ...init,
    });
  return { model, ask };
};

/** The data of each server-sent event. */
const eventsOf = async (response: Response): Promise<string[]> =>
  (await response.text())
    .split('\n\n')
    .filter(Boolean)
    .map((event) => event.replace('data: ', ''));

describe('the scripted model', () => {
  test('answers with text and usage, and keeps what it was asked', async () => {
    const { model, ask } = await start((call) => `answer ${call}`);
    await ask({ temperature: 0.5 }, { headers: { authorization: 'Bearer k' } });
    expect(await (await ask()).json()).toMatchObject({
      object: 'chat.completion',
      model: 'm',
      choices: [{ message: { role: 'assistant', content: 'answer 2' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: expect.any(Number), completion_tokens: expect.any(Number), total_tokens: expect.any(Number) },
    });
    expect(model.requests.map(({ body, headers }) => [body.temperature, headers.authorization])).toEqual([
      [0.5, 'Bearer k'],
      [undefined, undefined],
    ]);
  });

  test('streams text in the given pieces, with usage only if it is asked for', async () => {
    const { ask } = await start({ chunks: ['{"a"', ':1', '}'], usage: { promptTokens: 7, completionTokens: 3 } });
    const plain = await eventsOf(await ask({ stream: true }));
    expect(plain.at(-1)).toBe('[DONE]');
    const chunks = plain.slice(0, -1).map((data) => JSON.parse(data));
    expect(chunks.map(({ choices }) => choices[0].delta.content)).toEqual(['', '{"a"', ':1', '}', undefined]);
    expect(chunks.at(-1).choices[0].finish_reason).toBe('stop');
    const withUsage = await eventsOf(await ask({ stream: true, stream_options: { include_usage: true } }));
    expect(JSON.parse(withUsage.at(-2) ?? '')).toMatchObject({
      choices: [],
      usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
    });
  });

  test('streams whole text word by word', async () => {
    const { ask } = await start('  two words\n');
    const chunks = (await eventsOf(await ask({ stream: true }))).slice(1, -2).map((data) => JSON.parse(data).choices[0].delta.content);
    expect(chunks).toEqual(['  two', ' words\n']);
  });

  test('calls tools, in one piece and streamed, with arguments that may be no JSON', async () => {
    const toolCalls = [
      { name: 'read', arguments: { path: '/a' }, id: 'call_1' },
      { name: 'no_such_tool', arguments: '{"cut' },
    ];
    const { ask } = await start({ toolCalls });
    const [choice] = ((await (await ask()).json()) as { choices: [{ message: { tool_calls: object[] } }] }).choices;
    expect(choice).toMatchObject({ message: { content: null }, finish_reason: 'tool_calls' });
    expect(choice.message.tool_calls).toMatchObject([
      { id: 'call_1', type: 'function', function: { name: 'read', arguments: '{"path":"/a"}' } },
      { function: { name: 'no_such_tool', arguments: '{"cut' } },
    ]);
    const deltas = (await eventsOf(await ask({ stream: true })))
      .slice(1, -2)
      .map((data) => JSON.parse(data).choices[0].delta.tool_calls[0]);
    const joined = [0, 1].map((index) =>
      deltas
        .filter((delta) => delta.index === index)
        .map((delta) => delta.function.arguments)
        .join(''),
    );
    expect(joined).toEqual(['{"path":"/a"}', '{"cut']);
    expect(deltas[0]).toMatchObject({ index: 0, id: 'call_1', function: { name: 'read' } });
  });

  test('cuts its answer as a provider does at a limit', async () => {
    const { ask } = await start({ text: '{"purpose":"to', finishReason: 'length', usage: null });
    const body = (await (await ask()).json()) as object;
    expect(body).toMatchObject({ choices: [{ message: { content: '{"purpose":"to' }, finish_reason: 'length' }] });
    expect(body).not.toHaveProperty('usage');
  });

  test('fails with a status, headers and a body of choice', async () => {
    const { ask } = await start((call) =>
      call === 1
        ? { status: 429, code: 'rate_limit_exceeded', message: 'slow down', headers: { 'retry-after': '2' } }
        : { status: 502, body: '<html>bad gateway</html>' },
    );
    const limited = await ask();
    expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '2']);
    expect(await limited.json()).toMatchObject({
      error: { code: 'rate_limit_exceeded', message: 'slow down', type: 'invalid_request_error' },
    });
    const bad = await ask();
    expect([bad.status, await bad.text()]).toEqual([502, '<html>bad gateway</html>']);
  });

  test('waits until it is released', async () => {
    const gate = Promise.withResolvers<void>();
    const { model, ask } = await start({ text: 'late', after: gate.promise });
    let isAnswered = false;
    const answer = ask().then((response) => {
      isAnswered = true;
      return response.json();
    });
    await expect.poll(() => model.requests.length).toBe(1);
    expect(isAnswered).toBe(false);
    gate.resolve();
    expect(await answer).toMatchObject({ choices: [{ message: { content: 'late' } }] });
  });

  test('hangs, at once or within a stream, and notices that the caller leaves', async () => {
    const { model, ask } = await start((call) => ({ fault: 'hang', ...(call === 1 ? {} : { sent: ['one ', 'two'] }) }));
    const caller = new AbortController();
    const silent = ask({}, { signal: caller.signal });
    await expect.poll(() => model.requests.length).toBe(1);
    caller.abort();
    await expect(silent).rejects.toThrow();
    await model.requests[0]?.left;

    const later = new AbortController();
    const response = await ask({ stream: true }, { signal: later.signal });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (!text.includes('"two"')) text += (await reader?.read())?.value ?? '';
    later.abort();
    await model.requests[1]?.left;
  });

  test('resets the connection, before its answer or in the middle of it', async () => {
    const { ask } = await start((call) => ({ fault: 'reset', ...(call === 1 ? {} : { sent: ['{"half', '":'] }) }));
    await expect(ask()).rejects.toThrow();
    for (const stream of [true, false]) {
      const response = await ask({ stream });
      expect(response.status).toBe(200);
      await expect(response.text()).rejects.toThrow();
    }
  });

  test('insists on its key, lists its models, and shows a mistake of the script', async () => {
    const broken = () => {
      throw new Error('no more answers');
    };
    const { model, ask } = await start(broken, { key: 'k', models: ['a', 'b'] });
    expect((await ask()).status).toBe(401);
    const headers = { authorization: 'Bearer k' };
    expect(await (await ask({}, { headers })).json()).toMatchObject({
      error: { code: 'script_failed', message: 'Error: no more answers' },
    });
    expect(await (await fetch(`${model.url}/models`, { headers })).json()).toMatchObject({ data: [{ id: 'a' }, { id: 'b' }] });
    expect((await fetch(`${model.url}/embeddings`, { headers })).status).toBe(404);
  });
});
