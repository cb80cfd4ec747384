import { afterAll, beforeAll, expect, test } from 'vitest';
import { adminToken, guestToken, type RunningApi, startRunningApi } from '../support/running-api.ts';
import { fleet, model, project, provider, role, server, toolset, wholeFleet } from '../support/sample-resources.ts';

let api: RunningApi;
beforeAll(async () => {
  api = await startRunningApi();
});
afterAll(() => api.close());

const names = (results: { kind: string; name: string; action: string }[]) =>
  results.map(({ kind, name, action }) => `${kind}/${name} ${action}`);
const changes = async () =>
  (await api.request('GET', '/default/default/audit?kind=change')).body.events.map(
    (event: { action: string; resource: string; facts: { change: string } }) => `${event.action} ${event.resource} ${event.facts.change}`,
  );

test('applies a fleet with everything it needs, whatever the order, and says what changed', async () => {
  const first = await api.apply(fleet(), role(), model(), provider(), toolset(), server());
  expect(first.status).toBe(200);
  expect(names(first.body.results)).toEqual([
    'Fleet/survey created',
    'AgentRole/reader created',
    'Model/small created',
    'Provider/local created',
    'Toolset/read created',
    'McpServer/files created',
  ]);
  const again = await api.apply(fleet(), role('reader', { instructions: 'Read well.' }));
  expect(names(again.body.results)).toEqual(['Fleet/survey unchanged', 'AgentRole/reader configured']);
  expect(again.body.results[1].generation).toBe(2);
  const recorded = await changes();
  expect(recorded).toHaveLength(7);
  expect(recorded.at(-1)).toBe('applyResource AgentRole/reader configured');
});

test('marks what it applies as accepted, and as ready where no server has to be looked at', async () => {
  await api.apply(...wholeFleet());
  const conditions = async (path: string) =>
    (await api.request('GET', `/default/default/resources/${path}`)).body.status.conditions.map(
      (condition: { type: string; status: string }) => `${condition.type}=${condition.status}`,
    );
  expect(await conditions('Fleet/survey')).toEqual(['Accepted=True', 'Ready=True']);
  expect(await conditions('McpServer/files')).toEqual(['Accepted=True']);
  const role2 = await api.apply(role('reader', { instructions: 'Read twice.' }));
  const { body } = await api.request('GET', '/default/default/resources/AgentRole/reader');
  expect(body.status.conditions.map((condition: { observedGeneration: number }) => condition.observedGeneration)).toEqual([
    role2.body.results[0].generation,
    role2.body.results[0].generation,
  ]);
});

test('applies nothing when one document is wrong, and names document, field and what is expected', async () => {
  const wrong = { ...role('writer'), spec: { ...role().spec, limits: { steps: 'many' } } };
  const refused = await api.apply(server('other'), wrong);
  expect(refused.status).toBe(422);
  expect(refused.headers.get('content-type')).toBe('application/problem+json');
  expect(refused.body).toMatchObject({ code: 'resource_invalid', status: 422, requestId: refused.headers.get('x-request-id') });
  expect(refused.body.issues).toMatchObject([{ document: 1, path: ['spec', 'limits', 'steps'] }]);
  expect(refused.body.issues[0].message).toContain('expected number');
  expect((await api.request('GET', '/default/default/resources/McpServer/other')).status).toBe(404);
});

test.each([
  [
    'a server that does not exist',
    [toolset('t', ['nowhere'])],
    ['spec', 'servers', 0, 'name'],
    'there is no McpServer `nowhere` in default/default',
  ],
  [
    'a provider that does not exist',
    [model('m', { routes: [{ provider: 'cloud', model: 'x' }] })],
    ['spec', 'routes', 0, 'provider'],
    'there is no Provider `cloud`',
  ],
  ['a model that does not exist', [role('r', { model: 'gone' })], ['spec', 'model'], 'there is no Model `gone`'],
  ['a toolset that does not exist', [role('r', { toolset: 'gone' })], ['spec', 'toolset'], 'there is no Toolset `gone`'],
  [
    'a role that does not exist',
    [fleet('f', { stages: [{ name: 's', role: 'gone' }] })],
    ['spec', 'stages', 0, 'role'],
    'there is no AgentRole `gone`',
  ],
  [
    'a fleet that a binding names',
    [{ ...server('b'), kind: 'AccessBinding', spec: { subjects: [{ group: 'g' }], fleets: ['gone'] } }],
    ['spec', 'fleets', 0],
    'there is no Fleet `gone`',
  ],
  ['a project that does not exist', [server('s', { project: 'team' })], ['metadata', 'project'], 'there is no Project `team`'],
  ['an org of somebody else', [{ ...server('s'), metadata: { name: 's', org: 'other' } }], ['metadata', 'org'], 'expected `default`'],
  [
    'Cedar that does not parse',
    [{ ...server('p'), kind: 'PolicySet', spec: { cedar: 'permit(' } }],
    ['spec', 'cedar'],
    'line 1 column 7 of the text: unexpected end of input',
  ],
  [
    'an answer schema that is none',
    [role('r', { output: { type: 'object', properties: { a: { type: 'nonsense' } } } })],
    ['spec', 'output', 'properties', 'a', 'type'],
    'expected JSON Schema (2020-12)',
  ],
  [
    'a stage over an input that is not declared',
    [fleet('f', { stages: [{ name: 's', role: 'reader', forEach: 'inputs.files' }] })],
    ['spec', 'stages', 0, 'forEach'],
    'there is no `files`',
  ],
  [
    'a stage over a stage that is not before it',
    [fleet('f', { stages: [{ name: 's', role: 'reader', input: { a: { from: 'stages.later.outputs' } } }] })],
    ['spec', 'stages', 0, 'input', 'a', 'from'],
    '`later` is none',
  ],
  [
    'two inputs of one name',
    [
      fleet('f', {
        inputs: [
          { name: 'a', type: 'text' },
          { name: 'a', type: 'text' },
        ],
        stages: [{ name: 's', role: 'reader' }],
      }),
    ],
    ['spec', 'inputs', 1, 'name'],
    '`a` is taken',
  ],
  ['a kind that is not built yet', [{ ...server('b'), kind: 'Budget' }], ['kind'], 'the kind `Budget` is not built yet'],
  ['a field that is not built yet', [{ ...server('s'), spec: { command: ['x'], replicas: 2 } }], ['spec', 'replicas'], 'not built yet'],
])('refuses %s', async (_what, documents, path, message) => {
  await api.apply(...wholeFleet());
  const { status, body } = await api.apply(...documents);
  expect(status).toBe(422);
  expect(body.issues[0]).toMatchObject({ document: 0, path });
  expect(body.issues[0].message).toContain(message);
});

test('refuses the same resource twice in one apply', async () => {
  const { body } = await api.apply(server('twice'), provider(), server('twice'));
  expect(body.issues).toEqual([
    { document: 2, path: ['metadata', 'name'], message: 'McpServer twice is already in document 1; name it once' },
  ]);
});

test('takes a project and what lives in it together', async () => {
  const { status } = await api.apply(server('s', { project: 'payments' }), project('payments'));
  expect(status).toBe(200);
  const { body } = await api.request('GET', '/default/payments/resources');
  expect(body.items.map((item: { kind: string }) => item.kind)).toEqual(['McpServer', 'Project']);
  expect((await api.request('GET', '/default/default/resources/Project/payments')).status).toBe(200);
});

test('says with dryRun what an apply would do, and does nothing', async () => {
  const { body } = await api.request('POST', '/apply', { body: { documents: [server('planned')], dryRun: true } });
  expect(names(body.results)).toEqual(['McpServer/planned created']);
  expect((await api.request('GET', '/default/default/resources/McpServer/planned')).status).toBe(404);
});

test('compares documents with what is stored', async () => {
  await api.apply(...wholeFleet());
  const { body } = await api.request('POST', '/diff', {
    body: { documents: [provider(), role('reader', { instructions: 'Skim.' }), server('new')] },
  });
  expect(names(body.results)).toEqual(['Provider/local unchanged', 'AgentRole/reader configured', 'McpServer/new created']);
  expect(body.results[1].before.spec.instructions).not.toBe('Skim.');
  expect(body.results[1].after.spec.instructions).toBe('Skim.');
  expect(body.results[2].before).toBeNull();
});

test('refuses to delete what is in use, and names who uses it', async () => {
  await api.apply(...wholeFleet());
  const refused = await api.request('DELETE', '/default/default/resources/Model/small');
  expect(refused).toMatchObject({
    status: 409,
    body: { code: 'conflict', detail: 'Model small is in use by AgentRole reader; change or delete that first.' },
  });
  const full = await api.apply(project('full'), server('s', { project: 'full' }));
  expect(full.status).toBe(200);
  const held = await api.request('DELETE', '/default/full/resources/Project/full');
  expect(held.body.detail).toContain('Project full is in use by McpServer s');
});

test('deletes what nobody uses and keeps that in the events', async () => {
  await api.apply(server('short-lived'));
  const deleted = await api.request('DELETE', '/default/default/resources/McpServer/short-lived');
  expect(deleted).toMatchObject({ status: 200, body: { action: 'deleted' } });
  expect((await api.request('DELETE', '/default/default/resources/McpServer/short-lived')).status).toBe(404);
  const { body } = await api.request('GET', '/default/default/resources/McpServer/short-lived/events');
  expect(body.events.map((event: { facts: { change: string } }) => event.facts.change)).toEqual(['created', 'deleted']);
});

test('a delete and an apply at the same moment never leave a reference to nothing', async () => {
  for (let round = 0; round < 5; round += 1) {
    await api.apply(server(`raced-${round}`));
    const [applied, deleted] = await Promise.all([
      api.apply(toolset(`over-${round}`, [`raced-${round}`])),
      api.request('DELETE', `/default/default/resources/McpServer/raced-${round}`),
    ]);
    expect([applied.status, deleted.status].sort()).toEqual(applied.status === 200 ? [200, 409] : [200, 422]);
  }
});

test('refuses by policy before it tells anything about other resources, and records the refusal', async () => {
  const { status, body } = await api.request('POST', '/apply', { body: { documents: [toolset('t', ['nowhere'])] }, token: guestToken });
  expect(status).toBe(403);
  expect(body).toMatchObject({ code: 'not_permitted', decisionId: 'dec_no' });
  expect(body.detail).toContain('guest may not applyResource on Toolset t of default/default: forbidden by platform/closed');
  const { body: audit } = await api.request('GET', '/default/default/audit?kind=refusal&person=guest');
  expect(audit.events.at(-1)).toMatchObject({
    action: 'applyResource',
    resource: 'Toolset/t',
    decision: 'deny',
    outcome: 'refused',
    stamp: 'guest-token',
  });
});

test('gives the JSON Schema of a kind and says who the caller is', async () => {
  const schema = await api.request('GET', '/schemas/Toolset');
  expect(schema.body.properties.spec.required).toContain('servers');
  expect((await api.request('GET', '/schemas/Nonsense')).body.code).toBe('request_invalid');
  expect((await api.request('GET', '/whoami')).body).toEqual({
    org: 'default',
    id: 'admin',
    groups: ['engineering'],
    roles: [],
    stamp: 'admin-token',
    login: { ageSeconds: expect.any(Number), level: 1 },
  });
});

test('refuses unknown filters of the audit instead of showing everything', async () => {
  const { status, body } = await api.request('GET', '/default/default/audit?rol=reader');
  expect({ status, code: body.code }).toEqual({ status: 400, code: 'request_invalid' });
  expect(body.detail).toContain('rol');
});

test('keeps no token and no document in its log', async () => {
  await api.apply({ ...server('noisy'), spec: { command: ['run'], env: { SETTING: 'a-value-of-a-user' }, nonsense: true } });
  const log = api.logLines.join('');
  expect(log).not.toContain(adminToken);
  expect(log).not.toContain('a-value-of-a-user');
});
