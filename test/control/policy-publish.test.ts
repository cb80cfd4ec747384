import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createPolicySigner } from '../../store/secrets/policy-signature.ts';
import { type PolicyPlace, policySecret, startPolicyPlace } from '../support/policy-place.ts';
import { pollUntil } from '../support/poll-until.ts';
import { guestToken } from '../support/running-gateway.ts';

const apiVersion = 'quarterdeck.dev/v1alpha1';
const forbidPath = (path: string): string => `@id("no-${path.slice(1)}")
forbid (principal is Quarterdeck::Agent in Quarterdeck::AgentRole::"default/default/reader", action == Quarterdeck::Action::"callTool", resource)
when { context.arguments.paths.contains("${path}") };`;
const golden = (paths: string[], expect: 'allow' | 'deny') => ({
  name: `a reader and ${paths.join()}`,
  principal: { agentRole: 'reader' },
  action: 'callTool',
  resource: { tool: 'counting/look', toolset: 'counting' },
  context: { paths },
  expect,
});
const policySet = (cedar: string, decisions: object[] = [], name = 'paths') => ({
  apiVersion,
  kind: 'PolicySet',
  metadata: { name },
  spec: { cedar, ...(decisions.length > 0 ? { golden: decisions } : {}) },
});

let place: PolicyPlace;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-publish-'));
  place = await startPolicyPlace({
    resources: [
      { kind: 'AccessBinding', metadata: { name: 'readers' }, spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['counting'] } },
      { kind: 'PolicySet', metadata: { name: 'paths' }, spec: { cedar: forbidPath('/secret') } },
    ],
  });
});
afterAll(async () => {
  await place.close();
  rmSync(folder, { recursive: true, force: true });
});

const post = (what: string, documents: object[], more: object = {}, token?: string) =>
  place.request('POST', `/default/default/policy/${what}`, { body: { documents, ...more }, ...(token ? { token } : {}) });
const publish = (documents: object[], more: object = { acceptFlips: true }, token?: string) => post('publish', documents, more, token);
const isRefused = async (path: string): Promise<boolean> => {
  const answer = await place.call(await place.agentToken('reader'), 'look', { path });
  return answer.error !== undefined;
};
const untilRefused = (path: string, refused: boolean) =>
  pollUntil(async () => ((await isRefused(path)) === refused ? true : undefined), `${path} ${refused ? 'refused' : 'allowed'}`);

describe('a judgement of policies', () => {
  test('asks the golden decisions beside the bindings and policies of the project, and says which are red', async () => {
    const { body } = await post('validate', [
      policySet(forbidPath('/a'), [golden(['/a'], 'deny'), golden(['/b'], 'allow'), golden(['/c'], 'deny')]),
    ]);
    expect(body).toMatchObject({ policies: 1, platform: [] });
    expect(body.golden.map(({ name, expect: wanted, found }: Record<string, string>) => [name, wanted, found])).toEqual([
      ['a reader and /a', 'deny', 'deny'],
      ['a reader and /b', 'allow', 'allow'],
      ['a reader and /c', 'deny', 'allow'],
    ]);
  });

  test('warns of roles and toolsets that nobody has declared, with the line', async () => {
    const cedar = `// a comment\n${forbidPath('/a')}
forbid (principal in Quarterdeck::Role::"boss", action == Quarterdeck::Action::"callTool", resource in Quarterdeck::Toolset::"default/default/nothing");`;
    const { body } = await post('validate', [policySet(cedar)]);
    expect(body.warnings).toEqual([
      { policySet: 'paths', line: 2, message: 'there is no AgentRole reader in default/default' },
      { policySet: 'paths', line: 5, message: expect.stringContaining('there is no role boss of the platform') },
      { policySet: 'paths', line: 5, message: 'there is no Toolset nothing in default/default' },
    ]);
  });

  test('a golden decision that cannot be asked is red, whatever it expects', async () => {
    const odd = { ...golden(['/a'], 'deny'), action: 'invokeModel' };
    const { body } = await post('validate', [policySet(forbidPath('/a'), [odd])]);
    expect(body.golden).toMatchObject([{ expect: 'deny', found: 'deny', error: expect.stringMatching(/./) }]);
  });

  test('refuses a golden decision that is written wrongly, with its place', async () => {
    const { status, body } = await post('validate', [policySet(forbidPath('/a'), [{ ...golden(['/a'], 'deny'), expect: 'maybe' }])]);
    expect(status).toBe(422);
    expect(body.issues).toMatchObject([{ path: ['spec', 'golden', 0, 'expect'], message: 'expected `allow` or `deny` or `needsPerson`' }]);
  });
});

describe('quarterdeck policy validate and test', () => {
  test('say what is wrong and end with 1; with 0 where all is as it has to be', async () => {
    const file = join(folder, 'policy.json');
    writeFileSync(file, JSON.stringify(policySet(forbidPath('/a'), [golden(['/a'], 'deny'), golden(['/b'], 'deny')])));
    const red = await place.qd(['policy', 'validate', file]);
    expect(red).toMatchObject({
      code: 1,
      stdout: 'RED  paths: a reader and /b: expected deny, found allow by binding/readers/agentRole/reader/toolsets/counting\n',
    });
    expect(red.stderr).toContain('1 policy, valid; 2 golden decisions, 1 red.');
    expect((await place.qd(['policy', 'test', file])).stdout).toContain('ok   paths: a reader and /a (deny)\n');
    writeFileSync(file, JSON.stringify(policySet(forbidPath('/a'))));
    expect(await place.qd(['policy', 'validate', file])).toMatchObject({ code: 0, stdout: '' });
    writeFileSync(file, JSON.stringify(policySet('forbid (principal')));
    expect(await place.qd(['policy', 'validate', file])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/policy\.json:1:\d+: spec\.cedar/),
    });
  });
});

describe('a publication', () => {
  beforeEach(async () => {
    await place.database.$client.query('delete from policy_bundles');
  });

  test('with a red golden decision publishes nothing', async () => {
    const { status, body } = await publish([policySet(forbidPath('/a'), [golden(['/a'], 'allow')])]);
    expect(status).toBe(422);
    expect(body).toMatchObject({ code: 'policy_red', detail: expect.stringContaining('a reader and /a: expected allow, found deny') });
    expect((await place.database.$client.query('select 1 from policy_bundles')).rows).toEqual([]);
  });

  test('that would decide recorded calls otherwise waits until somebody accepts that', async () => {
    expect(await isRefused('/flips')).toBe(false);
    await place.gateway.auditRow(({ facts }) => JSON.stringify(facts).includes('/flips'));
    const refused = await publish([policySet(forbidPath('/flips'))], {});
    expect(refused).toMatchObject({ status: 409, body: { code: 'policy_flips', flipped: expect.any(Number) } });
    const accepted = await publish([policySet(forbidPath('/flips'))]);
    expect(accepted).toMatchObject({ status: 201, body: { policySets: ['paths'], publishedBy: 'admin' } });
    await untilRefused('/flips', true);
    const row = await place.gateway.auditRow(({ action, facts }) => action === 'applyResource' && facts.change === 'published');
    expect(row).toMatchObject({ person: 'admin', resource: 'PolicySet/paths', facts: { flipped: refused.body.flipped } });
  });

  test('is refused to whoever may not change policies', async () => {
    expect((await publish([policySet(forbidPath('/a'))], {}, guestToken)).status).toBe(403);
  });

  test('takes PolicySets alone', async () => {
    const binding = {
      apiVersion,
      kind: 'AccessBinding',
      metadata: { name: 'more' },
      spec: { subjects: [{ group: 'x' }], toolsets: ['counting'] },
    };
    expect(await publish([policySet(forbidPath('/a')), binding])).toMatchObject({
      status: 400,
      body: { detail: expect.stringContaining('alone') },
    });
  });
});

describe('a published bundle', () => {
  const { signed, tamper } = {
    signed: (version: number, cedar: string, secret = policySecret) => {
      const content = JSON.stringify({ org: 'default', project: 'default', version, policySets: [{ name: 'paths', cedar }] });
      return { version, content, signature: createPolicySigner(secret)(content) };
    },
    tamper: (text: string, values: unknown[] = []) => place.database.$client.query(text, values),
  };
  const insert = ({ version, content, signature }: ReturnType<typeof signed>) =>
    tamper(
      "insert into policy_bundles (org, project, version, content, signature, published_by) values ('default', 'default', $1, $2, $3, 'x')",
      [version, content, signature],
    );

  test('is in force as a whole: PolicySets beside it change nothing, and are refused', async () => {
    await insert(signed(100, forbidPath('/x')));
    await untilRefused('/x', true);
    const applied = await place.request('POST', '/apply', { body: { documents: [policySet(forbidPath('/y'))] } });
    expect(applied).toMatchObject({ status: 422, body: { issues: [{ message: expect.stringContaining('quarterdeck policy publish') }] } });
    const removed = await place.request('DELETE', '/default/default/resources/PolicySet/paths');
    expect(removed).toMatchObject({ status: 409, body: { code: 'conflict' } });
    await place.gateway.apply({
      kind: 'PolicySet',
      metadata: { name: 'paths' },
      spec: { cedar: 'permit (principal is Quarterdeck::Agent, action, resource);' },
    });
    await tamper("select pg_notify('quarterdeck_declared', 'x')");
    await untilRefused('/x', true);
    expect(await isRefused('/y')).toBe(false);
  });

  test.each<[string, () => Promise<unknown>]>([
    ['with a wrong signature', () => insert(signed(101, forbidPath('/z'), 'another secret of 32 characters or more'))],
    ['whose text was changed', () => tamper(`update policy_bundles set content = replace(content, '/x', '/z') where version = 100`)],
    ['that does not fit the schema', () => insert(signed(102, 'permit (principal, action, resource) when { context.nothing };'))],
    [
      'that is older than the one in force',
      async () => {
        await tamper('delete from policy_bundles');
        await insert(signed(7, forbidPath('/z')));
      },
    ],
    ['that is gone', () => tamper('delete from policy_bundles')],
  ])('%s never goes live and never widens: the last good one stays in force', async (_what, damage) => {
    await tamper('delete from policy_bundles');
    await insert(signed(100, forbidPath('/x')));
    await untilRefused('/x', true);
    await damage();
    await tamper("select pg_notify('quarterdeck_declared', 'x')");
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await isRefused('/x')).toBe(true);
    expect(await isRefused('/z')).toBe(false);
  });
});

describe('quarterdeck policy publish', () => {
  test('shows what would change and publishes only when that is accepted', async () => {
    await place.database.$client.query('delete from policy_bundles');
    expect(await isRefused('/cli')).toBe(false);
    await place.gateway.auditRow(({ facts }) => JSON.stringify(facts).includes('/cli'));
    const file = join(folder, 'publish.json');
    writeFileSync(file, JSON.stringify(policySet(forbidPath('/cli'))));
    const shown = await place.qd(['policy', 'publish', file]);
    expect(shown).toMatchObject({ code: 3, stdout: '' });
    expect(shown.stderr).toMatch(/allow +deny.* +policyset\/paths\/no-cli/);
    expect(shown.stderr).toContain('--accept-flips');
    expect(await place.qd(['policy', 'publish', file, '--accept-flips'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^published version \d+: paths\n$/),
    });
  });
});
