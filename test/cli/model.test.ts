import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../support/run-cli.ts';
import { adminToken, type RunningApi, startRunningApi } from '../support/running-api.ts';
import { model, provider } from '../support/sample-resources.ts';

let api: RunningApi;
let models: Server;
let env: Record<string, string>;
const asked: unknown[] = [];
beforeAll(async () => {
  api = await startRunningApi();
  models = createServer(async (request, response) => {
    const body = (await json(request)) as { model: string };
    asked.push({ path: request.url, authorization: request.headers.authorization, body });
    const isKnown = body.model === 'small';
    const error = { message: 'No policy lets admin use the model large.', code: 'not_permitted' };
    const answer = { choices: [{ message: { role: 'assistant', content: 'Hello.' } }], usage: { prompt_tokens: 12, completion_tokens: 3 } };
    response.writeHead(isKnown ? 200 : 403, { 'content-type': 'application/json' }).end(JSON.stringify(isKnown ? answer : { error }));
  }).listen(0, '127.0.0.1');
  await once(models, 'listening');
  env = { QUARTERDECK_URL: `http://127.0.0.1:${(models.address() as AddressInfo).port}`, QUARTERDECK_TOKEN: adminToken };
});
afterAll(async () => {
  models.close();
  await api.close();
});

test('lists the aliases', async () => {
  const place = { env: { QUARTERDECK_URL: api.url, QUARTERDECK_TOKEN: adminToken } };
  expect((await runCli(['model', 'ls'], place)).stderr).toContain('No model is declared');
  await api.apply(provider(), model());
  expect((await runCli(['model', 'ls'], place)).stdout).toMatch(/^NAME .*\nsmall +True +local\/tiny +tiny +constrained +\d+s\n$/);
});

test('asks a model through the gateway, with the answer alone on stdout', async () => {
  const { code, stdout, stderr } = await runCli(['model', 'try', 'small', 'Say hello', '--max-tokens', '8'], { env });
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'Hello.\n' });
  expect(stderr).toMatch(/^12 \+ 3 tokens in /);
  expect(asked.at(-1)).toEqual({
    path: '/v1/chat/completions',
    authorization: `Bearer ${adminToken}`,
    body: { model: 'small', messages: [{ role: 'user', content: 'Say hello' }], max_tokens: 8 },
  });
});

test('ends with 4 when the policy refuses the model', async () => {
  const { code, stderr } = await runCli(['model', 'try', 'large', 'Say hello'], { env });
  expect({ code, stderr }).toEqual({ code: 4, stderr: 'Error: No policy lets admin use the model large. Next: quarterdeck model ls\n' });
});

test('knows one model to install', async () => {
  const { code, stderr } = await runCli(['model', 'install', 'huge']);
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: 'Error: There is no model huge to install; expected tiny. Models of providers need no installation\n',
  });
});
