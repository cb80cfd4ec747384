import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createAuthorizer } from '../../control/api/authorize-with-cedar.ts';
import { createPolicyEngine } from '../../policy/engine.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { declaredFrom } from '../../store/declared.ts';
import { deleteDefinitions } from '../../store/definitions.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { offerTools } from '../support/offer-tools.ts';
import { guestToken, type RunningApi, reviewerToken, startRunningApi } from '../support/running-api.ts';
import { server } from '../support/sample-resources.ts';

let api: RunningApi;
beforeAll(async () => {
  api = await startRunningApi();
  await api.apply(server('files'));
});
afterAll(() => api.close());
beforeEach(async () => {
  await deleteDefinitions(api.database, { ...defaultTenancy, server: 'files' });
  await offerTools(api.database, 'files', { name: 'read', description: 'Reads.' }, { name: 'write' });
});

const pins = '/default/default/servers/files/pins';
const pinOf = async (name: string) => (await api.request('GET', pins)).body.pins.find((pin: { name: string }) => pin.name === name);
const accept = (definitions: object[], { token = reviewerToken, acceptIssues = false } = {}) =>
  api.request('POST', `${pins}/accept`, { body: { definitions, acceptIssues }, token });

test('shows what agents see, and what the server offers instead', async () => {
  expect(await pinOf('read')).toMatchObject({ state: 'approved', pinned: { description: 'Reads.' }, offered: null });
  await offerTools(api.database, 'files', { name: 'read', description: 'Writes.' }, { name: 'late' });
  expect(await pinOf('read')).toMatchObject({
    state: 'changed',
    pinned: { description: 'Reads.' },
    offered: { description: 'Writes.' },
    approvedBy: null,
  });
  expect(await pinOf('write')).toMatchObject({ state: 'gone', pinned: { name: 'write' }, offered: null, currentHash: '' });
  expect(await pinOf('late')).toMatchObject({ state: 'new', pinned: null, offered: { name: 'late' } });
  const all = await api.request('GET', '/default/default/pins');
  expect(all.body.pins.map(({ name }: { name: string }) => name)).toEqual(['late', 'read', 'write']);
});

test('accepts what a person saw, and writes down who did', async () => {
  await offerTools(api.database, 'files', { name: 'read', description: 'Writes.' });
  const { kind, name, currentHash, approvedHash } = await pinOf('read');
  const accepted = await accept([
    { kind, name, currentHash },
    { kind, name: 'write', currentHash: '' },
  ]);
  expect(accepted).toMatchObject({
    status: 200,
    body: {
      accepted: [
        { name: 'read', currentHash },
        { name: 'write', currentHash: '' },
      ],
    },
  });
  expect(await pinOf('read')).toMatchObject({ state: 'approved', pinned: { description: 'Writes.' }, approvedBy: 'reviewer' });
  expect(await pinOf('write')).toBeUndefined();
  const { events } = (await api.request('GET', '/default/default/audit?action=approveServer')).body;
  expect(events.slice(-2)).toMatchObject([
    {
      person: 'reviewer',
      server: 'files',
      tool: 'read',
      resource: 'McpServer/files',
      facts: { change: 'accepted', before: approvedHash, after: currentHash },
    },
    { tool: 'write', facts: { change: 'forgotten' } },
  ]);
});

test('refuses what changed after the person looked, and accepts nothing of the request', async () => {
  await offerTools(api.database, 'files', { name: 'read', description: 'Writes.' }, { name: 'write', description: 'New.' });
  const [read, write] = [await pinOf('read'), await pinOf('write')];
  await offerTools(api.database, 'files', { name: 'read', description: 'Deletes.' }, { name: 'write', description: 'New.' });
  expect(await accept([read, write].map(({ kind, name, currentHash }) => ({ kind, name, currentHash })))).toMatchObject({
    status: 409,
    body: { code: 'conflict' },
  });
  expect([(await pinOf('read')).state, (await pinOf('write')).state]).toEqual(['changed', 'changed']);
});

test('refuses what has hidden text unless the person says that they saw it', async () => {
  await offerTools(api.database, 'files', { name: 'read', description: 'Reads.\u{E0041}' });
  const { kind, name, currentHash, issues } = await pinOf('read');
  expect(issues).toEqual(['hidden characters in description: \\u{E0041}']);
  const refused = await accept([{ kind, name, currentHash }]);
  expect(refused).toMatchObject({ status: 409, body: { code: 'definition_suspicious' } });
  expect(refused.body.detail).toContain('--accept-issues');
  expect((await accept([{ kind, name, currentHash }], { acceptIssues: true })).status).toBe(200);
});

test('asks the policy, and knows no server that is not declared', async () => {
  expect((await accept([{ kind: 'tool', name: 'read', currentHash: 'x' }], { token: guestToken })).status).toBe(403);
  api.refusals.add('approveServer');
  expect((await accept([{ kind: 'tool', name: 'read', currentHash: 'x' }])).status).toBe(403);
  api.refusals.delete('approveServer');
  expect((await api.request('GET', '/default/default/servers/nowhere/pins')).status).toBe(404);
  expect((await api.request('GET', pins, { token: guestToken })).status).toBe(403);
  expect((await accept([])).status).toBe(400);
  expect((await accept([{ kind: 'tool', name: 'nothing', currentHash: 'x' }])).status).toBe(404);
});

test('reviewers and administrators may approve a server, others not', async () => {
  const authorize = createAuthorizer({
    policy: createPolicyEngine(),
    declared: () => declaredFrom([], []),
    profile: 'dev',
    clock: () => new Date(),
    logger: createLogger({ name: 'test' }),
  });
  const decide = async (...roles: string[]) => {
    const person = { org: 'default', id: 'p', groups: [], roles, disabled: false, stamp: null };
    return (await authorize(person as never, 'approveServer', defaultTenancy, { kind: 'McpServer', name: 'files' })).effect;
  };
  expect([await decide('reviewer'), await decide('administrator'), await decide()]).toEqual(['allow', 'allow', 'deny']);
});
