import { describe, expect, test } from 'vitest';
import { missingFor } from '../../gateway/exchange/missing-capabilities.ts';
import { openState, sealState, stateLifetimeMs } from '../../gateway/exchange/request-state.ts';
import { StandingCall } from '../../gateway/exchange/standing-call.ts';
import { translateQuestion } from '../../gateway/exchange/translate-question.ts';
import type { ClientRequest } from '../../gateway/mcp/client-request.ts';
import type { JsonObject } from '../../gateway/mcp/message.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';

const form = (requestedSchema: JsonObject, rest: JsonObject = {}) => ({
  method: 'elicitation/create',
  params: { mode: 'form', message: 'Which?', requestedSchema, ...rest },
});
const titled = { type: 'object', properties: { color: { type: 'string', oneOf: [{ const: 'r', title: 'Red' }, { const: 'g' }] } } };

describe('a question in the words of the client’s revision', () => {
  test('a form loses its mode and gets names beside its choices in 2025-06-18, and stays as it is afterwards', () => {
    expect(translateQuestion('2025-06-18', form(titled)).params).toEqual({
      message: 'Which?',
      requestedSchema: { type: 'object', properties: { color: { type: 'string', enum: ['r', 'g'], enumNames: ['Red', 'g'] } } },
    });
    for (const version of ['2025-11-25', '2026-07-28']) expect(translateQuestion(version, form(titled))).toEqual(form(titled));
  });

  test('a visit has an id in 2025-11-25, and none in the modern era', () => {
    const visit = { method: 'elicitation/create', params: { mode: 'url', message: 'Go', url: 'https://a.example/' } };
    expect(translateQuestion('2025-11-25', visit).params).toEqual({ ...visit.params, elicitationId: expect.any(String) });
    expect(translateQuestion('2026-07-28', { ...visit, params: { ...visit.params, elicitationId: 'e' } })).toEqual(visit);
  });

  test('messages of several blocks become several messages before 2025-11-25', () => {
    const content = [
      { type: 'text', text: 'a' },
      { type: 'text', text: 'b' },
    ];
    const sampling = { method: 'sampling/createMessage', params: { messages: [{ role: 'user', content }], maxTokens: 5 } };
    expect(translateQuestion('2025-06-18', sampling).params?.messages).toEqual(content.map((block) => ({ role: 'user', content: block })));
    expect(translateQuestion('2025-11-25', sampling)).toEqual(sampling);
  });

  test('what belongs to the hop behind the gateway stays there', () => {
    const meta = { progressToken: 1, 'io.modelcontextprotocol/related-task': { taskId: 't' }, 'acme.example/kept': true };
    const question = translateQuestion('2026-07-28', { method: 'roots/list', params: { _meta: meta, task: { ttl: 1 } } });
    expect(question.params).toEqual({ _meta: { 'acme.example/kept': true } });
  });
});

test('a state is good for five minutes, for the same caller and request', () => {
  const keys = deriveContentKeys(Buffer.alloc(32, 1).toString('base64'), 'mcp-state');
  const request = {
    method: 'tools/call',
    params: { name: 'act', arguments: { a: 1, b: 2 } },
    principal: { kind: 'person', org: 'default', id: 'admin' },
    endpoint: { kind: 'everything', path: '/mcp' },
  } as unknown as ClientRequest;
  const round = { number: 1, server: 'default/default/one', state: 'theirs' };
  const requestState = sealState(keys, request, { round }, 1000);
  const retried = (params: JsonObject = {}, changes: Partial<ClientRequest> = {}): ClientRequest => ({
    ...request,
    params: { arguments: { b: 2, a: 1 }, name: 'act', _meta: { any: 1 }, inputResponses: {}, requestState, ...params },
    ...changes,
  });
  expect(openState(keys, retried(), 1000 + stateLifetimeMs)).toMatchObject({ round });
  const again = sealState(keys, request, { round: { ...round, expiresAt: 5000 } }, 4999);
  expect(openState(keys, retried({ requestState: again }), 5000)).toMatchObject({ round });
  const refused = [
    () => openState(keys, retried({ requestState: again }), 5001),
    () => openState(keys, retried(), 1001 + stateLifetimeMs),
    () => openState(keys, retried({ arguments: { a: 1, b: 3 } }), 1000),
    () => openState(keys, retried({}, { method: 'prompts/get' }), 1000),
    () => openState(keys, retried({}, { endpoint: { kind: 'everything', path: '/mcp/other' } }), 1000),
    () => openState(keys, retried({}, { principal: { ...request.principal, id: 'other' } as ClientRequest['principal'] }), 1000),
    () => openState(keys, retried({ requestState: `${requestState.slice(0, -2)}AA` }), 1000),
    () => openState(keys, retried({ requestState: '' }), 1000),
  ];
  for (const open of refused) expect(open).toThrow(expect.objectContaining({ code: 'request_invalid' }));
});

describe('what a client has to declare', () => {
  const visit = { method: 'elicitation/create', params: { mode: 'url' } };
  const withTools = { method: 'sampling/createMessage', params: { tools: [] } };
  test.each([
    [{}, form({}), { elicitation: {} }],
    [{ elicitation: {} }, form({}), undefined],
    [{ elicitation: { url: {} } }, form({}), { elicitation: { form: {} } }],
    [{ elicitation: {} }, visit, { elicitation: { url: {} } }],
    [{ elicitation: { url: {} } }, visit, undefined],
    [{ sampling: {} }, withTools, { sampling: { tools: {} } }],
    [{ sampling: { tools: {} } }, withTools, undefined],
    [{}, { method: 'roots/list' }, { roots: {} }],
    [{ roots: {} }, { method: 'tools/list' }, {}],
  ])('%j for %j', (capabilities, question, missing) => {
    expect(missingFor(capabilities, question)).toEqual(missing);
  });
});

describe('a call that may outlive its request', () => {
  const request = (changes: Partial<ClientRequest> = {}): ClientRequest =>
    ({
      method: 'tools/call',
      params: {},
      client: { era: 'modern', protocolVersion: '2026-07-28', capabilities: { extensions: { 'io.modelcontextprotocol/tasks': {} } } },
      signal: new AbortController().signal,
      notify: async () => undefined,
      ...changes,
    }) as ClientRequest;
  const never = new AbortController().signal;
  const timing = { momentMs: 30, gatherMs: 1, answerMs: 40 };
  const question = { method: 'elicitation/create', params: {} };

  test('gives up a question that nobody answers, with the word that the server has for that', async () => {
    const call = new StandingCall(request(), 0, timing, async () => true);
    expect(await call.ask(question, never)).toEqual({ kind: 'result', result: { action: 'cancel' } });
    expect(await call.ask({ method: 'roots/list' }, never)).toMatchObject({
      kind: 'error',
      error: { data: { code: 'client_unreachable' } },
    });
  });

  test('neither parks nor becomes a task where there is no room, and ends all the same', async () => {
    const call = new StandingCall(request(), 0, timing, async () => false);
    const asked = call.ask(question, never);
    const word = call.next(request());
    expect(await asked).toEqual({ kind: 'result', result: { action: 'cancel' } });
    setTimeout(() => call.end({ kind: 'result', result: { content: [] } }), 80);
    expect(await word).toEqual({ kind: 'ended', reply: { kind: 'result', result: { content: [] } } });
  });

  test('asks each question under a key of its own, and takes an answer once', async () => {
    const call = new StandingCall(request(), 0, { ...timing, answerMs: 10_000 }, async () => true);
    const first = call.ask(question, never);
    const [key = ''] = call.openKeys;
    call.answer({ [key]: { action: 'accept' }, other: { action: 'accept' } });
    expect(await first).toEqual({ kind: 'result', result: { action: 'accept' } });
    const second = call.ask(question, never);
    expect(call.openKeys).not.toContain(key);
    call.answer({ [key]: { action: 'decline' } });
    expect(call.status).toBe('input_required');
    call.cancel();
    expect(await second).toEqual({ kind: 'result', result: { action: 'cancel' } });
    expect(call.signal.aborted).toBe(true);
  });

  test('is taken back when the connection of whoever waits for it is lost, and not before', async () => {
    const call = new StandingCall(request(), 0, { ...timing, answerMs: 10_000 }, async () => true);
    const [first, second] = [new AbortController(), new AbortController()];
    void call.ask(question, never);
    expect(await call.next(request({ signal: first.signal }))).toEqual({ kind: 'questions' });
    first.abort();
    expect(call.signal.aborted).toBe(false);
    const waiting = call.next(request({ signal: second.signal }));
    await waiting;
    const [key = ''] = call.openKeys;
    call.answer({ [key]: { action: 'accept' } });
    const third = new AbortController();
    void call.next(request({ signal: third.signal, client: { era: 'modern', protocolVersion: '2026-07-28', capabilities: {} } }));
    third.abort();
    expect(call.signal.aborted).toBe(true);
  });
});
