import { afterAll, beforeAll, expect, test } from 'vitest';
import { defaultTenancy } from '../../schema/ids.ts';
import { guestToken, type RunningApi, reviewerToken, startRunningApi } from '../support/running-api.ts';

let api: RunningApi;
beforeAll(async () => {
  api = await startRunningApi({ cedar: true });
});
afterAll(() => api.close());

const keys = '/default/default/keys';

test('an administrator lists and rotates the keys of the org, and it is on record who did', async () => {
  const digest = await api.contentStore.put(defaultTenancy, 'a text', 't');
  expect((await api.request('GET', keys)).body.keys).toMatchObject([{ state: 'active', contents: 1 }]);
  const { status, body } = await api.request('POST', `${keys}/rotate`);
  expect(status).toBe(200);
  expect((await api.request('GET', keys)).body.keys).toMatchObject([
    { id: body.id, state: 'active', contents: 0 },
    { state: 'retired', contents: 1 },
  ]);
  expect(await api.contentStore.get(defaultTenancy, digest)).toBe('a text');
  const { body: audit } = await api.request('GET', '/default/default/audit?limit=10');
  expect(audit.events).toContainEqual(
    expect.objectContaining({
      action: 'applyResource',
      resource: 'OrgKey/default',
      person: 'admin',
      facts: expect.objectContaining({ change: 'rotated', key: body.id }),
    }),
  );
});

test('nobody else does, whatever a policy of a project lets them do, and nobody of another org', async () => {
  for (const token of [guestToken, reviewerToken])
    for (const [method, path, body] of [
      ['GET', keys],
      ['POST', `${keys}/rotate`],
      ['POST', `${keys}/shred`, { confirm: 'default' }],
    ] as const)
      expect((await api.request(method, path, { token, ...(body ? { body } : {}) })).status).toBe(403);
  expect((await api.request('POST', '/other/default/keys/rotate')).status).toBe(403);
});

test('keys are destroyed only by whoever says the name of the org, and then nothing of it can be read', async () => {
  const digest = await api.contentStore.put(defaultTenancy, 'another text', 't');
  expect((await api.request('POST', `${keys}/shred`, { body: { confirm: 'other' } })).status).toBe(400);
  expect(await api.contentStore.get(defaultTenancy, digest)).toBe('another text');
  expect((await api.request('POST', `${keys}/shred`, { body: { confirm: 'default' } })).body.destroyed).toHaveLength(2);
  await expect(api.contentStore.get(defaultTenancy, digest)).rejects.toMatchObject({ code: 'secret_unavailable' });
  expect((await api.request('GET', keys)).body.keys.every(({ state }: { state: string }) => state === 'destroyed')).toBe(true);
});

const sealed = '/default/default/seal-keys';

test('the keys of the installation are listed with what stands on each, rotated by name and retired, on record', async () => {
  const { body } = await api.request('GET', sealed);
  expect(body.keys.map(({ name, id, state }: Record<string, string>) => `${name}/${id} ${state}`)).toEqual([
    'gateway/original active',
    'approvals/original active',
    'people/original active',
    'grants/original active',
  ]);
  const rotated = await api.request('POST', `${sealed}/rotate`, { body: { names: ['grants', 'people'] } });
  expect(rotated.status).toBe(200);
  const [grants] = rotated.body.keys;
  // nobody who holds the wrapping key runs beside this api: the key is asked for, and the one before seals on
  const after = (await api.request('GET', sealed)).body.keys;
  expect(after).toContainEqual(expect.objectContaining({ name: 'grants', id: grants.id, state: 'asked', rows: 0 }));
  expect(await api.request('POST', `${sealed}/retire`, { body: { name: 'grants', id: 'original' } })).toMatchObject({
    status: 409,
    body: { detail: expect.stringContaining('it is active') },
  });
  expect((await api.request('POST', `${sealed}/rotate`, { body: { names: ['content'] } })).status).toBe(400);
  const { body: audit } = await api.request('GET', '/default/default/audit?limit=20');
  expect(audit.events).toContainEqual(
    expect.objectContaining({
      resource: 'SealKey',
      facts: expect.objectContaining({ change: 'rotated', keys: [`grants/${grants.id}`, expect.any(String)] }),
    }),
  );
});

test('nobody but an administrator of the first org sees or changes the keys of the installation', async () => {
  for (const token of [guestToken, reviewerToken])
    for (const [method, path, body] of [
      ['GET', sealed],
      ['POST', `${sealed}/rotate`, { names: ['grants'] }],
      ['POST', `${sealed}/retire`, { name: 'grants', id: 'original' }],
    ] as const)
      expect((await api.request(method, path, { token, ...(body ? { body } : {}) })).status).toBe(403);
});
