import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { PolicySuggestion } from '../../schema/policy-suggestion.ts';
import { type PolicyPlace, startPolicyPlace } from '../support/policy-place.ts';
import { pollUntil } from '../support/poll-until.ts';
import { guestToken } from '../support/running-gateway.ts';

let place: PolicyPlace;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-suggest-'));
  place = await startPolicyPlace({
    resources: [
      { kind: 'AccessBinding', metadata: { name: 'readers' }, spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['counting'] } },
      {
        kind: 'AccessBinding',
        metadata: { name: 'shared' },
        spec: { subjects: [{ agentRole: 'reader' }, { agentRole: 'clerk' }], toolsets: ['counting'] },
      },
    ],
  });
  const reader = await place.agentToken('reader');
  for (const path of ['/a', '/b']) await place.call(reader, 'look', { path });
  await place.call(reader, 'look', { path: '/a', value: 'https://a.test/?q=1', url: 'https://a.test/?q=1' });
  await place.call(await place.agentToken('clerk'), 'act', { path: '/a' });
  await pollUntil(async () => {
    const { rows } = await place.database.$client.query(`select 1 from audit_events where basis is not null and kind <> 'outcome'`);
    return rows.length >= 4 ? rows : undefined;
  }, 'the rows of the calls');
});
afterAll(async () => {
  await place.close();
  rmSync(folder, { recursive: true, force: true });
});

const suggest = async (role: string): Promise<PolicySuggestion> => {
  const { status, body } = await place.request('GET', `/default/default/policy/suggestions/${role}`);
  expect(status).toBe(200);
  return body;
};

test('suggests what the recorded calls of a role needed, what that takes away, and what becomes of its bindings', async () => {
  const suggestion = await suggest('reader');
  expect(suggestion).toMatchObject({
    role: 'reader',
    calls: 3,
    policySet: { kind: 'PolicySet', metadata: { name: 'least-reader' } },
    bindings: [
      { name: 'readers', after: null },
      { name: 'shared', after: { spec: { subjects: [{ agentRole: 'clerk' }] } } },
    ],
    stillAllowed: [],
    check: { allowed: 3, refused: [] },
  });
  expect(suggestion.takenAway.map(({ type, name, toolset }) => `${type} ${name} ${toolset}`).sort()).toEqual([
    'Tool counting/act counting',
    'Tool counting/fail counting',
  ]);
  expect(suggestion.takenAway[0]?.by).toContain('binding/readers/agentRole/reader/toolsets/counting');
  expect(suggestion.narrowed).toMatchObject([
    { name: 'counting/look', calls: 3, conditions: expect.arrayContaining(['["/a", "/b"].containsAll(context.arguments.paths)']) },
  ]);
});

test('refuses to guess for a role without calls, and for whoever may not read the audit', async () => {
  const none = await place.request('GET', '/default/default/policy/suggestions/nobody');
  expect(none).toMatchObject({ status: 404, body: { detail: expect.stringContaining('no allowed call of agents of the role nobody') } });
  expect((await place.request('GET', '/default/default/policy/suggestions/reader', { token: guestToken })).status).toBe(403);
  expect((await place.request('GET', '/default/default/policy/suggestions/No_Role')).status).toBe(400);
});

test('what the command prints is applied as it stands, allows the recorded calls and no others', async () => {
  const { code, stdout, stderr } = await place.qd(['policy', 'suggest', 'reader']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^# Takes away what is allowed today and was not needed:\n# {3}tool counting\/act behind counting, allowed by /);
  expect(stderr).toContain('3 allowed, 0 refused.');
  expect(stderr).toContain('quarterdeck delete accessbinding readers');
  expect(parseAllDocuments(stdout)).toHaveLength(2);

  const file = join(folder, 'least.yaml');
  writeFileSync(file, stdout);
  expect(await place.qd(['policy', 'backtest', file])).toMatchObject({ code: 0, stdout: '' });
  // without the role it was declared for, the reference of the shared binding would not resolve
  for (const name of ['reader', 'clerk'])
    await place.gateway.apply({
      kind: 'AgentRole',
      metadata: { name },
      spec: { instructions: 'Read.', model: 'small', toolset: 'counting', output: { type: 'object' } },
    });
  expect(await place.qd(['apply', '-f', file])).toMatchObject({ code: 0 });
  expect(await place.qd(['delete', 'accessbinding', 'readers', '--yes'])).toMatchObject({ code: 0 });

  const reader = await place.agentToken('reader');
  await pollUntil(async () => {
    const answer = await place.call(reader, 'act', { path: '/a' });
    return answer.error ? answer : undefined;
  }, 'the policies in force');
  expect((await place.call(reader, 'look', { path: '/a' })).result).toBeDefined();
  expect((await place.call(reader, 'look', { path: '/c' })).error.data.code).toBe('argument_refused');
  expect((await place.call(await place.agentToken('clerk'), 'act', { path: '/a' })).result).toBeDefined();
});
