import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { AuditQuerySchema } from '../../schema/audit-event.ts';
import { queryAudit } from '../../store/audit.ts';
import { type RawProvider, sendJson, startRawProvider, wholeAnswer } from '../support/raw-provider.ts';
import { adminToken, guestToken } from '../support/running-gateway.ts';
import { type RunningModels, startRunningModels } from '../support/running-models.ts';

const providerKey = 'sk-test-provider-key-0123456789';
const secretPrompt = 'the launch code of the prompt is 8842-horse';
let models: RunningModels;
let provider: RawProvider;

const forbidMore = `@id("short-answers") @advice("Ask for at most 500 tokens.")
forbid (principal is Quarterdeck::Agent, action == Quarterdeck::Action::"invokeModel", resource == Quarterdeck::Model::"default/default/bounded") when { context.maxTokens > 500 };`;

beforeAll(async () => {
  provider = await startRawProvider();
  models = await startRunningModels({ environment: { PROVIDER_KEY: providerKey } });
  const route = {
    provider: 'acme',
    model: 'acme-large',
    price: { inputMicroUsdPerMillion: 1_000_000, outputMicroUsdPerMillion: 3_000_000 },
  };
  await models.apply(
    {
      kind: 'Provider',
      metadata: { name: 'acme' },
      spec: { kind: 'openai-compatible', baseUrl: provider.url, apiKey: { env: 'PROVIDER_KEY' }, timeoutSeconds: 5 },
    },
    {
      kind: 'Provider',
      metadata: { name: 'keyless' },
      spec: { kind: 'openai-compatible', baseUrl: provider.url, apiKey: { env: 'NO_SUCH_KEY' } },
    },
    { kind: 'Model', metadata: { name: 'fast' }, spec: { routes: [route], maxOutputTokens: 300, temperature: 0.25 } },
    { kind: 'Model', metadata: { name: 'bounded' }, spec: { routes: [route], maxOutputTokens: 1000 } },
    { kind: 'Model', metadata: { name: 'private' }, spec: { routes: [route] } },
    { kind: 'Model', metadata: { name: 'without-key' }, spec: { routes: [{ ...route, provider: 'keyless' }] } },
    { kind: 'Model', metadata: { name: 'without-provider' }, spec: { routes: [{ ...route, provider: 'nobody' }] } },
    { kind: 'Project', metadata: { name: 'lab', project: 'lab' }, spec: {} },
    { kind: 'Model', metadata: { name: 'fast', project: 'lab' }, spec: { routes: [route] } },
    {
      kind: 'AccessBinding',
      metadata: { name: 'readers' },
      spec: { subjects: [{ agentRole: 'reader' }], models: ['fast', 'bounded', 'without-key', 'without-provider'] },
    },
    { kind: 'AccessBinding', metadata: { name: 'guests' }, spec: { subjects: [{ group: 'guests' }], models: ['fast'] } },
    { kind: 'PolicySet', metadata: { name: 'answers' }, spec: { cedar: forbidMore } },
  );
});
afterAll(async () => {
  await models.close();
  await provider.close();
});
afterEach(() => {
  expect(models.failures).toEqual([]);
  provider.requests.length = 0;
});

const chat = { model: 'fast', messages: [{ role: 'user', content: secretPrompt }] };
// biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
type Answered = { status: number; headers: Headers; text: string; json: any };
const send = async (
  token: string | undefined,
  body: unknown = chat,
  headers: Record<string, string> = {},
  path = '/v1/chat/completions',
): Promise<Answered> => {
  const response = await fetch(`${models.url}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: JSON.parse(text) };
};
const get = (token: string | undefined, path: string) =>
  fetch(`${models.url}${path}`, { headers: token ? { authorization: `Bearer ${token}` } : {} });
const rowOf = (decisionId: string | null) => models.auditRow((row) => row.decisionId === decisionId);
const answerOk = (): void => {
  provider.handle = (response) => sendJson(response, 200, wholeAnswer());
};

describe('a call', () => {
  test('comes back with the provider’s own bytes; usage and cost are in the audit row and in the ledger', async () => {
    answerOk();
    const agent = await models.addAgentWithToken();
    const { status, headers, text } = await send(agent.token, chat, { 'idempotency-key': 'step-1' });
    expect({ status, text }).toEqual({ status: 200, text: wholeAnswer() });
    expect(headers.get('x-request-id')).toMatch(/^req_/);
    expect(provider.requests).toHaveLength(1);
    expect(JSON.parse(provider.requests[0]?.body ?? '')).toEqual({ ...chat, model: 'acme-large', max_tokens: 300, temperature: 0.25 });
    expect(await models.agent(agent.id)).toMatchObject({
      steps: 1,
      calls: 0,
      tokens: 15,
      inputTokens: 10,
      outputTokens: 5,
      costMicroUsd: 25,
      refusals: 0,
    });
    const row = await rowOf(headers.get('x-quarterdeck-decision'));
    expect(row).toMatchObject({
      kind: 'call',
      action: 'invokeModel',
      decision: 'allow',
      outcome: 'ok',
      errorCode: null,
      model: 'fast',
      operationId: 'step-1',
      policies: ['binding/readers/agentRole/reader/models/fast'],
      person: 'admin',
      agent: agent.id,
      role: 'reader',
      fleet: 'survey',
      run: agent.runId,
      inputTokens: 10,
      outputTokens: 5,
      costMicroUsd: 25,
      facts: { provider: 'acme', providerModel: 'acme-large', messages: 1, streamed: false },
    });
    expect(row.durationMs).toBeGreaterThanOrEqual(0);
    expect(JSON.stringify(row)).not.toContain('horse');
  });

  test('reaches the provider with the gateway’s key and nothing of the caller’s', async () => {
    answerOk();
    await send(adminToken, chat, { 'openai-organization': 'org-x', cookie: 'a=b', 'x-custom': 'y' });
    const { headers, url } = provider.requests[0] ?? { headers: {}, url: '' };
    expect(url).toBe('/v1/chat/completions');
    expect(headers.authorization).toBe(`Bearer ${providerKey}`);
    expect(Object.keys(headers).sort()).toEqual([
      'accept',
      'accept-encoding',
      'authorization',
      'connection',
      'content-length',
      'content-type',
      'host',
      'traceparent',
      'user-agent',
    ]);
  });

  test('of a person costs no agent anything and is recorded with the stamp of the token', async () => {
    answerOk();
    const { headers } = await send(guestToken);
    const row = await rowOf(headers.get('x-quarterdeck-decision'));
    expect(row).toMatchObject({
      person: 'guest',
      agent: null,
      stamp: 'guest-token',
      outcome: 'ok',
      costMicroUsd: 25,
      operationId: expect.stringMatching(/^op_/),
    });
  });

  test('of a person reaches another project by the name written out', async () => {
    answerOk();
    await models.apply({
      kind: 'Provider',
      metadata: { name: 'acme', project: 'lab' },
      spec: { kind: 'openai-compatible', baseUrl: provider.url },
    });
    expect((await send(adminToken, { ...chat, model: 'default/lab/fast' })).status).toBe(200);
    expect((await send(adminToken, { ...chat, model: 'default/default/fast' })).status).toBe(200);
    await models.context.audit.drained();
    const rows = await queryAudit(models.database, { org: 'default', project: 'lab' }, AuditQuerySchema.parse({}));
    expect(rows).toMatchObject([{ action: 'invokeModel', model: 'fast', person: expect.stringMatching(/^psn_/), outcome: 'ok' }]);
  });

  test('without usage is estimated from the bytes, and says so', async () => {
    provider.handle = (response) =>
      sendJson(
        response,
        200,
        wholeAnswer('x'.repeat(300), undefined).replace(',"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}', ''),
      );
    const agent = await models.addAgentWithToken();
    const { status, headers } = await send(agent.token);
    expect(status).toBe(200);
    const row = await rowOf(headers.get('x-quarterdeck-decision'));
    const inputTokens = Math.ceil(secretPrompt.length / 3) + 4;
    expect(row).toMatchObject({ inputTokens, facts: { usage: 'estimated' } });
    expect(row.outputTokens).toBe(100);
    expect(await models.agent(agent.id)).toMatchObject({ inputTokens, tokens: inputTokens + 100 });
  });

  test('with usage that makes no sense is estimated too', async () => {
    for (const usage of [
      { prompt_tokens: -5, completion_tokens: 1 },
      { prompt_tokens: 1e300, completion_tokens: 1 },
      'many',
      { total_tokens: 3 },
    ]) {
      provider.handle = (response) => sendJson(response, 200, wholeAnswer('ok', usage as object));
      const { status, headers } = await send(adminToken);
      expect(status).toBe(200);
      expect(await rowOf(headers.get('x-quarterdeck-decision'))).toMatchObject({ facts: { usage: 'estimated' } });
    }
  });
});

describe('who may call', () => {
  test('nobody without a token, or with one for another address; the challenge says where to get one', async () => {
    const agent = await models.addAgentWithToken();
    const forTools = await models.mint(agent.id, `${models.publicUrl}/mcp/default/default/files`);
    const forBase = await models.mint(agent.id, models.publicUrl);
    for (const [token, code] of [
      [undefined, 'not_authenticated'],
      ['qd_nobody', 'token_refused'],
      [forTools, 'token_refused'],
      [forBase, 'token_refused'],
    ] as const) {
      const { status, headers, json } = await send(token);
      expect(status).toBe(401);
      expect(headers.get('www-authenticate')).toContain(`resource_metadata="${models.publicUrl}/.well-known/oauth-protected-resource/v1"`);
      expect(json).toEqual({ error: { message: expect.any(String), type: 'authentication_error', code, param: null } });
    }
    expect((await get(undefined, '/v1/models')).status).toBe(401);
    expect(provider.requests).toHaveLength(0);
  });

  test('an alias that is forbidden answers exactly as one that does not exist', async () => {
    const agent = await models.addAgentWithToken();
    const shape = ({ status, headers, json }: Answered, name: string) => {
      const shown = Object.fromEntries(
        [...headers].filter(([header]) => !['date', 'x-request-id', 'x-quarterdeck-decision', 'content-length'].includes(header)),
      );
      return JSON.stringify({ status, shown, json: { error: { ...json.error, decision_id: typeof json.error.decision_id } } }).replaceAll(
        name,
        'NAME',
      );
    };
    const unknown = await send(agent.token, { ...chat, model: 'no-such' });
    expect(unknown).toMatchObject({ status: 404, json: { error: { code: 'model_not_found', type: 'invalid_request_error' } } });
    for (const name of ['private', 'default/default/fast', 'default/lab/fast', 'Fast', '../fast', 'fast ']) {
      expect(shape(await send(agent.token, { ...chat, model: name }), name), name).toBe(shape(unknown, 'no-such'));
    }
    const one = async (name: string) => {
      const response = await get(agent.token, `/v1/models/${encodeURIComponent(name)}`);
      return shape({ status: response.status, headers: response.headers, text: '', json: await response.json() }, name);
    };
    expect(await one('private')).toBe(await one('no-such'));
    const row = await rowOf(unknown.json.error.decision_id);
    expect(row).toMatchObject({
      kind: 'refusal',
      decision: 'deny',
      outcome: 'refused',
      errorCode: 'not_found',
      model: 'no-such',
      agent: agent.id,
    });
    expect(await models.agent(agent.id)).toMatchObject({ steps: 0, tokens: 0 });
    expect((await models.agent(agent.id)).refusals).toBeGreaterThan(5);
  });

  test('a call that a policy forbids names the rule and its advice, and gives its tokens back', async () => {
    const agent = await models.addAgentWithToken();
    const { status, json, headers } = await send(agent.token, { ...chat, model: 'bounded' });
    expect(status).toBe(403);
    expect(json.error).toMatchObject({
      code: 'not_permitted',
      type: 'permission_error',
      message: expect.stringMatching(/answers\/short-answers.*Ask for at most 500 tokens\./),
      decision_id: headers.get('x-quarterdeck-decision'),
    });
    expect(await rowOf(json.error.decision_id)).toMatchObject({
      kind: 'refusal',
      policies: ['policyset/answers/short-answers'],
      outcome: 'refused',
    });
    expect(await models.agent(agent.id)).toMatchObject({ tokens: 0, refusals: 1 });
    expect(provider.requests).toHaveLength(0);
    answerOk();
    expect((await send(agent.token, { ...chat, model: 'bounded', max_tokens: 500 })).status).toBe(200);
    expect((await send(agent.token, { ...chat, model: 'bounded', max_tokens: 300, n: 2 })).status).toBe(403);
  });

  test('the list shows what may be used, each by the name that works, and is recorded', async () => {
    const agent = await models.addAgentWithToken();
    const listed = async (token: string) => {
      const response = await get(token, '/v1/models');
      const { object, data } = (await response.json()) as { object: string; data: { id: string }[] };
      expect(object).toBe('list');
      return { ids: data.map(({ id }) => id), decisionId: response.headers.get('x-quarterdeck-decision'), data };
    };
    const seen = await listed(agent.token);
    expect(seen.ids).toEqual(['bounded', 'fast', 'without-key', 'without-provider']);
    expect(seen.data[0]).toEqual({ id: 'bounded', object: 'model', created: expect.any(Number), owned_by: 'default/default' });
    expect((await listed(guestToken)).ids).toEqual(['fast']);
    expect((await listed(adminToken)).ids).toContain('default/lab/fast');
    expect(await rowOf(seen.decisionId)).toMatchObject({
      kind: 'call',
      action: 'listModels',
      outcome: 'ok',
      agent: agent.id,
      facts: { listed: 4 },
    });
    for (const path of ['/v1/models/default/lab/fast', '/v1/models/default%2Flab%2Ffast', '/v1/models/fast'])
      expect((await get(adminToken, path)).status).toBe(200);
  });
});

describe('limits', () => {
  test('hold when fifty calls come at once: no more are let through than the tokens pay for', async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    provider.handle = async (response) => {
      await gate;
      sendJson(response, 200, wholeAnswer());
    };
    const worst = Math.ceil(secretPrompt.length / 3) + 4 + 300;
    const agent = await models.addAgentWithToken({ limits: { steps: 100, tokens: 3 * worst + 10 } });
    const calls = Array.from({ length: 50 }, async (_, index) => {
      const answered = await send(agent.token, chat, { 'idempotency-key': `race-${index}` });
      if (answered.status === 429) refused += 1;
      if (refused === 47) release();
      return answered;
    });
    let refused = 0;
    const answers = await Promise.all(calls);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(3);
    const refusals = answers.filter(({ status }) => status === 429);
    expect(refusals).toHaveLength(47);
    for (const { json, headers } of refusals) {
      expect(json.error).toMatchObject({ code: 'budget_exhausted', reason: 'limit_tokens', type: 'rate_limit_error' });
      expect(headers.get('x-should-retry')).toBe('false');
    }
    expect(provider.requests).toHaveLength(3);
    expect(await models.agent(agent.id)).toMatchObject({ steps: 3, tokens: 45, costMicroUsd: 75, refusals: 47 });
    // what was reserved and not used is there again at once
    answerOk();
    expect((await send(agent.token)).status).toBe(200);
  });

  test('say which of them is reached', async () => {
    answerOk();
    const agent = await models.addAgentWithToken({ limits: { steps: 1, tokens: 5000 } });
    expect((await send(agent.token)).status).toBe(200);
    expect((await send(agent.token)).json.error).toMatchObject({ code: 'budget_exhausted', reason: 'limit_steps' });
    const poor = await models.addAgentWithToken({ limits: { tokens: 100 } });
    expect((await send(poor.token)).json.error).toMatchObject({ reason: 'limit_tokens' });
    expect((await send(poor.token, { ...chat, max_tokens: 20 })).status).toBe(200);
    await models.database.execute(`update runs set state = 'cancelled' where id = '${poor.runId}'`);
    expect((await send(poor.token, { ...chat, max_tokens: 20 })).json.error).toMatchObject({ code: 'budget_exhausted', reason: 'ended' });
  });

  test('count a step once for one operation id, and do not let two calls share its reservation', async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    provider.handle = async (response) => {
      await gate;
      sendJson(response, 200, wholeAnswer());
    };
    const agent = await models.addAgentWithToken();
    const first = send(agent.token, chat, { 'idempotency-key': 'same' });
    const second = send(agent.token, chat, { 'idempotency-key': 'same' });
    const early = await Promise.race([first, second]);
    expect(early).toMatchObject({ status: 409, json: { error: { code: 'operation_in_progress' } } });
    release();
    expect([(await first).status, (await second).status].sort()).toEqual([200, 409]);
    expect((await send(agent.token, chat, { 'idempotency-key': 'same' })).status).toBe(200);
    expect(await models.agent(agent.id)).toMatchObject({ steps: 1, tokens: 30, inputTokens: 20 });
    expect((await send(agent.token, chat, { 'idempotency-key': 'x'.repeat(257) })).status).toBe(400);
  });
});

describe('requests that are refused', () => {
  test('a body of 5 MiB, announced or not, before it is parsed', async () => {
    const agent = await models.addAgentWithToken();
    const large = JSON.stringify({ ...chat, messages: [{ role: 'user', content: 'x'.repeat(5 * 1024 * 1024) }] });
    const { status, json } = await send(agent.token, large);
    expect(status).toBe(413);
    expect(json.error).toMatchObject({ code: 'request_too_large', type: 'invalid_request_error' });
    const chunked = await fetch(`${models.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${agent.token}` },
      body: new Blob([large]).stream(),
      duplex: 'half',
    } as RequestInit).then(
      ({ status: code }) => code,
      () => 'connection closed',
    );
    expect([413, 'connection closed']).toContain(chunked);
    expect(await models.auditRow((row) => row.errorCode === 'request_too_large' && row.agent === agent.id)).toMatchObject({
      kind: 'refusal',
    });
    expect(provider.requests).toHaveLength(0);
  });

  test('garbage, with a sentence and never with what was sent', async () => {
    for (const body of [
      '',
      '{',
      '[1]',
      '"x"',
      `{"model":"${secretPrompt}`,
      '{"model":"fast","model":"bounded","messages":[{"role":"user"}]}',
      JSON.stringify({ ...chat, store: true }),
    ]) {
      const { status, json, text } = await send(adminToken, body === '' ? ' ' : body);
      expect(status).toBe(400);
      expect(json.error).toMatchObject({ code: 'request_invalid', param: null, decision_id: expect.any(String) });
      expect(text).not.toContain('horse');
    }
    expect((await send(adminToken, chat, { 'content-encoding': 'gzip' })).status).toBe(400);
    expect(provider.requests).toHaveLength(0);
  });

  test('other addresses under /v1 in the dialect; addresses elsewhere are left to others', async () => {
    for (const path of ['/v1', '/v1/', '/v1/completions', '/v1/chat/completions', '/v1/models/%E0%A4%A', '/v1/chat/completions/'])
      expect(((await (await get(adminToken, path)).json()) as Answered['json']).error).toMatchObject({ code: 'not_found', param: null });
    for (const path of ['/v2', '/v1x', '/', '/mcp']) expect((await get(adminToken, path)).status).toBe(418);
  });

  test('every call while the audit cannot be written', async () => {
    const { audit } = models.context;
    const assertWritable = audit.assertWritable;
    audit.assertWritable = () => {
      throw Object.assign(new Error('full'), {
        [Symbol.for('quarterdeck.PlatformError')]: true,
        code: 'store_unavailable',
        detail: 'full',
        status: 503,
        isRetryable: true,
        facts: {},
      });
    };
    const { status, headers } = await send(adminToken).finally(() => {
      audit.assertWritable = assertWritable;
    });
    expect(status).toBe(503);
    expect(headers.get('retry-after')).toBe('2');
    expect(provider.requests).toHaveLength(0);
  });
});

describe('a provider', () => {
  test('that refuses the key is named; the key and its own words are not', async () => {
    provider.handle = (response) =>
      sendJson(response, 401, JSON.stringify({ error: { message: `Incorrect API key provided: ${providerKey}.` } }));
    const agent = await models.addAgentWithToken();
    const { status, json, text } = await send(agent.token);
    expect(status).toBe(502);
    expect(json.error).toMatchObject({ code: 'provider_refused', type: 'server_error', message: expect.stringContaining('acme') });
    expect(text).not.toMatch(/sk-test|Incorrect/);
    expect(await rowOf(json.error.decision_id)).toMatchObject({
      kind: 'call',
      decision: 'allow',
      outcome: 'error',
      errorCode: 'provider_refused',
      inputTokens: null,
    });
    expect(await models.agent(agent.id)).toMatchObject({ steps: 1, tokens: 0, costMicroUsd: 0 });
  });

  test('that refuses the request is passed on as a refusal of the request, without the prompt', async () => {
    provider.handle = (response) =>
      sendJson(
        response,
        400,
        JSON.stringify({
          error: {
            message: `Too long: ${secretPrompt}; key ${providerKey}. This model's maximum context length is 8192 tokens.`,
            type: 'invalid_request_error',
            code: 'context_length_exceeded',
          },
        }),
      );
    const { status, json, text } = await send(adminToken);
    expect(status).toBe(400);
    expect(json.error).toMatchObject({
      code: 'request_invalid',
      reason: 'context_length_exceeded',
      message: expect.stringContaining('maximum context length is 8192'),
    });
    expect(text).not.toMatch(/horse|8842-|sk-test/);
  });

  test('that redirects is not followed', async () => {
    provider.handle = (response) => void response.writeHead(302, { location: `${provider.url}/elsewhere` }).end();
    expect(await send(adminToken)).toMatchObject({ status: 502, json: { error: { code: 'provider_refused' } } });
    expect(provider.requests).toHaveLength(1);
  });

  test('whose key cannot be read, or that does not exist, is an error that names it', async () => {
    expect((await send(adminToken, { ...chat, model: 'without-key' })).json.error).toMatchObject({ code: 'secret_unavailable' });
    expect((await send(adminToken, { ...chat, model: 'without-provider' })).json.error).toMatchObject({
      code: 'model_unavailable',
      message: expect.stringContaining('nobody'),
    });
  });

  test('that answers 200 with something else is an error, and what it cost is charged', async () => {
    const agent = await models.addAgentWithToken();
    for (const body of ['<html>Bad Gateway</html>', '', 'null', '{"choices":7}', '{"error":{"message":"overloaded"}}']) {
      provider.handle = (response) => sendJson(response, 200, body);
      expect(await send(agent.token), body).toMatchObject({ status: 503, json: { error: { code: 'model_unavailable' } } });
    }
    expect((await models.agent(agent.id)).tokens).toBeGreaterThan(0);
  });

  test('that answers without end is stopped at 16 MiB', async () => {
    let sent = 0;
    provider.handle = (response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const more = (): void => {
        while (!response.destroyed && sent < 200 * 1024 * 1024) {
          sent += 65_536;
          if (!response.write(Buffer.alloc(65_536, 'x'))) return void response.once('drain', more);
        }
      };
      more();
    };
    expect(await send(adminToken)).toMatchObject({ status: 502, json: { error: { code: 'result_too_large' } } });
    expect(sent).toBeLessThan(40 * 1024 * 1024);
  });
});

test('no key, no token and nothing of a prompt was logged or recorded', async () => {
  await models.context.audit.drained();
  const written = `${models.logLines.join('')}${JSON.stringify(await models.audit())}`;
  expect(models.logLines.length).toBeGreaterThan(10);
  for (const secret of [providerKey, 'sk-test', adminToken, guestToken, 'horse', 'launch code', 'eyJhbGci'])
    expect(written.includes(secret), secret).toBe(false);
});
