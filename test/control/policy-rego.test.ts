import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { RegoOutcome } from '../../schema/resources/rego.ts';
import { onTime } from '../support/on-time.ts';
import { type PolicyPlace, startPolicyPlace } from '../support/policy-place.ts';
import { pollUntil } from '../support/poll-until.ts';
import { compiledFixture, fixtureModules } from '../support/precompiled-rego.ts';
import { adminToken, guestToken } from '../support/running-gateway.ts';

const apiVersion = 'quarterdeck.dev/v1alpha1';
const closed = `@id("closed")
forbid (principal is Quarterdeck::Agent, action == Quarterdeck::Action::"callTool", resource) when { context.arguments.paths.contains("/closed") };
@id("asks")
@approve("role:reviewer")
permit (principal is Quarterdeck::Agent, action == Quarterdeck::Action::"callTool", resource)
when { context.arguments.paths.contains("/asks") && context has approvedCall };`;
const policySet = (name: string, fixture: string, rego: object, more: object = {}) => ({
  apiVersion,
  kind: 'PolicySet',
  metadata: { name },
  spec: {
    cedar: name === 'paths' ? closed.split('@id("asks")')[0] : '// none',
    rego: { modules: fixtureModules(fixture), ...rego },
    ...more,
  },
});
const paths = (more: object = {}) =>
  policySet('paths', 'paths', { tools: [{ toolset: 'counting', server: 'counting', tool: 'lo*' }], manifests: ['AgentRole'] }, more);
const hostile = (tool = 'act') => policySet('hostile', 'hostile', { tools: [{ tool }], timeLimitMs: 200 });

let place: PolicyPlace;
let folder: string;
let token: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-rego-test-'));
  place = await startPolicyPlace({
    resources: [
      { kind: 'AccessBinding', metadata: { name: 'readers' }, spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['counting'] } },
    ],
  });
});
// an agent may call so often and no more
beforeEach(async () => {
  token = await place.agentToken('reader');
});
afterAll(async () => {
  await place.close();
  rmSync(folder, { recursive: true, force: true });
});

const post = (what: string, documents: object[], more: object = {}) =>
  place.request('POST', `/default/default/policy/${what}`, { body: { documents, ...more } });
const look = (argumentsOfCall: object, tool = 'look') => place.call(token, tool, argumentsOfCall);
const publish = async (...documents: object[]): Promise<void> => {
  const { status, body } = await post('publish', documents, { acceptFlips: true });
  if (status !== 201) throw new Error(JSON.stringify(body));
};
const inForce = (argumentsOfCall: object, tool = 'look') =>
  pollUntil(async () => {
    // the agents' calls are counted, those of people are not
    const { error } = await place.call(adminToken, tool, argumentsOfCall);
    return error?.data.rule?.startsWith('rego/') ? true : undefined;
  }, 'the Rego');
const regoOf = ({ facts }: { facts: Record<string, unknown> }): RegoOutcome[] => (facts.rego ?? []) as RegoOutcome[];

test('Rego is not applied, where nobody compiles and signs it, but published', async () => {
  const { status, body } = await place.request('POST', '/apply', { body: { documents: [paths()] } });
  expect(status).toBe(422);
  expect(body.issues).toMatchObject([{ path: ['spec', 'rego'], message: expect.stringContaining('quarterdeck policy publish') }]);
});

test('a PolicySet that gets around that refuses what its Rego is about', async () => {
  await place.gateway.apply(policySet('smuggled', 'paths', { tools: [{ tool: 'fail' }] }));
  await place.database.$client.query("select pg_notify('quarterdeck_declared', 'x')");
  const refused = await pollUntil(async () => {
    const { error } = await place.call(adminToken, 'fail', {});
    return error?.data.code === 'argument_refused' ? error : undefined;
  }, 'the Rego that is not compiled');
  expect(refused.message).toContain('not-compiled');
  expect((await look({ path: '/etc/a' })).result).toBeDefined();
  await place.database.$client.query("delete from resources where name = 'smuggled'");
  await place.database.$client.query("select pg_notify('quarterdeck_declared', 'x')");
  await pollUntil(async () => ((await place.call(adminToken, 'fail', {})).result ? true : undefined), 'it to be gone');
});

describe('a judgement', () => {
  const golden = (name: string, context: object, expected: string) => ({
    ...{ name, principal: { agentRole: 'reader' }, action: 'callTool', resource: { tool: 'counting/look', toolset: 'counting' } },
    ...{ context, expect: expected },
  });
  const manifest = (name: string, expected: string) => ({
    name: `applies ${name}`,
    principal: { person: 'ada', roles: ['administrator'] },
    action: 'applyResource',
    resource: { declared: `AgentRole/${name}` },
    context: { manifest: { kind: 'AgentRole', metadata: { name } } },
    expect: expected,
  });

  test('asks the golden decisions with Rego, on arguments and manifests', async () => {
    const { body } = await post('validate', [
      paths({
        golden: [
          golden('etc', { arguments: { path: '/etc/a' } }, 'deny'),
          golden('home', { arguments: { path: '/home/a' } }, 'allow'),
          golden('wrong', { arguments: { path: '/etc/a' } }, 'allow'),
          golden('closed', { paths: ['/closed'], arguments: { path: '/closed' } }, 'deny'),
          manifest('team-a', 'allow'),
          manifest('other', 'deny'),
        ],
      }),
    ]);
    expect(body.golden.map(({ found, policies }: Record<string, unknown>) => [found, policies])).toEqual([
      ['deny', ['rego/paths/no-etc']],
      ['allow', []],
      ['deny', ['rego/paths/no-etc']],
      ['deny', []],
      ['allow', []],
      ['deny', ['rego/paths']],
    ]);
    expect(body.rego).toEqual([{ policySet: 'paths', compiler: 'opa 1.22.4', bundle: compiledFixture('paths').digest }]);
  });

  test('a golden decision on which Rego gives no answer is red, whatever it expects', async () => {
    const golden = [
      {
        ...{ name: 'loops', principal: { agentRole: 'reader' }, action: 'callTool', expect: 'deny' },
        ...{ resource: { tool: 'counting/act', toolset: 'counting' }, context: { arguments: { mode: 'loop' } } },
      },
    ];
    const set = { ...hostile(), spec: { ...hostile().spec, golden } };
    expect(await post('publish', [set], { acceptFlips: true })).toMatchObject({
      status: 422,
      body: { code: 'policy_red', detail: expect.stringContaining('time-limit') },
    });
  });

  test('a red golden decision, and Rego that does not compile, publish nothing', async () => {
    const red = await post('publish', [paths({ golden: [golden('wrong', { arguments: { path: '/etc/a' } }, 'allow')] })]);
    expect(red).toMatchObject({ status: 422, body: { code: 'policy_red', detail: expect.stringContaining('rego/paths/no-etc') } });
    const modules = [{ name: 'other.rego', text: 'package quarterdeck' }];
    const set = policySet('other', 'paths', { tools: [{ tool: '*' }] });
    const broken = await post('publish', [{ ...set, spec: { ...set.spec, rego: { ...set.spec.rego, modules } } }]);
    expect(broken).toMatchObject({
      status: 422,
      body: { issues: [{ path: ['spec', 'rego', 'modules', 0, 'text'], message: expect.stringContaining('in other.rego, line 1') }] },
    });
    expect((await place.database.$client.query('select 1 from policy_bundles')).rows).toEqual([]);
    expect((await look({ path: '/etc/a' })).result).toBeDefined();
  });

  test('refuses Rego about nothing, about kinds that there are not, and about PolicySets themselves', async () => {
    const issuesOf = async (rego: object) => (await post('validate', [policySet('odd', 'paths', rego)])).body.issues;
    expect(await issuesOf({})).toMatchObject([{ path: ['spec', 'rego', 'tools'] }]);
    expect(await issuesOf({ manifests: ['Nothing'] })).toMatchObject([{ path: ['spec', 'rego', 'manifests', 0] }]);
    expect(await issuesOf({ manifests: ['PolicySet'] })).toMatchObject([{ message: expect.stringContaining('another kind') }]);
  });

  test('without a compiler says how to get one', async () => {
    const { createRegoCompiler } = await import('../../control/api/compile-rego.ts');
    const missing = createRegoCompiler({ findProgram: () => undefined })({ modules: fixtureModules('paths') });
    await expect(missing).rejects.toMatchObject({
      code: 'compiler_missing',
      detail: expect.stringMatching(/QUARTERDECK_OPA.*prepare\.mjs/),
    });
    const gone = createRegoCompiler({ findProgram: () => '/nonexistent/opa' })({ modules: fixtureModules('paths') });
    await expect(gone).rejects.toMatchObject({ code: 'compiler_missing', detail: expect.stringContaining('/nonexistent/opa') });
  });
});

describe('published Rego', () => {
  beforeAll(async () => {
    await publish(paths(), hostile());
    await inForce({ path: '/etc/in-force' });
  });

  test('refuses by its rule and message; nothing is sent, and the row names rule and bundle', async () => {
    const before = place.server.calls.length;
    const { error } = await look({ path: '/etc/passwd' });
    expect(error.data).toMatchObject({ code: 'argument_refused', rule: 'rego/paths/no-etc' });
    expect(error.message).toContain('/etc/passwd is outside of the project.');
    expect(place.server.calls.length).toBe(before);
    const row = await place.gateway.auditRow(({ decisionId }) => decisionId === error.data.decisionId);
    expect(row).toMatchObject({ kind: 'refusal', decision: 'deny', outcome: 'refused', policies: ['rego/paths/no-etc'] });
    expect(regoOf(row)).toMatchObject([
      { policySet: 'paths', bundle: compiledFixture('paths').digest, outcome: 'deny', rules: ['rego/paths/no-etc'] },
    ]);
  });

  test('lets other arguments of the same caller and tool pass, before and after: no answer is remembered for another', async () => {
    for (const [path, isRefused] of [
      ['/home/a', false],
      ['/etc/a', true],
      ['/home/a', false],
      ['/etc/b', true],
    ] as const)
      expect([path, (await look({ path })).error !== undefined]).toEqual([path, isRefused]);
    // the same facts for Cedar, other arguments for Rego
    expect((await look({ path: '/home/a', value: 'x', sql: 'select 1' })).result).toBeDefined();
    expect((await look({ path: '/home/a', value: 'x', sql: 'drop table a' })).error.data.rule).toBe('rego/paths/no-drop');
    const row = await place.gateway.auditRow(({ kind, facts }) => kind === 'call' && regoOf({ facts }).length > 0);
    expect(regoOf(row)).toMatchObject([{ policySet: 'paths', outcome: 'pass', rules: [] }]);
  });

  test('allows nothing that Cedar denies, though its `allow` is true: it is not even asked', async () => {
    const { error } = await look({ path: '/closed' });
    expect(error.data).toMatchObject({ code: 'argument_refused', rule: 'policyset/paths/closed' });
    const row = await place.gateway.auditRow(({ decisionId }) => decisionId === error.data.decisionId);
    expect(row.facts).not.toHaveProperty('rego');
    expect((await place.call(guestToken, 'look', { path: '/home/a' })).result).toBeUndefined();
  });

  test('is asked about nothing else', async () => {
    const row = async (tool: string) => place.gateway.auditRow((each) => each.tool === tool && each.kind === 'call');
    expect((await look({ path: '/etc/a' }, 'fail')).result).toBeDefined();
    expect((await row('fail')).facts).not.toHaveProperty('rego');
  });

  test.each([
    ['loop', 'time-limit'],
    ['memory', /memory-limit|time-limit/],
    ['conflict', 'evaluation-failed'],
    ['number', 'result-unusable'],
    ['undefined', 'undefined'],
  ])('that misbehaves (%s) refuses, with the reason', async (mode, reason) => {
    const before = place.server.countOf('act');
    const { error } = await look({ mode }, 'act');
    expect(error.data).toMatchObject({ code: 'argument_refused', rule: 'rego/hostile' });
    expect(error.message).toMatch(reason);
    expect(place.server.countOf('act')).toBe(before);
    const row = await place.gateway.auditRow(({ decisionId }) => decisionId === error.data.decisionId);
    expect(regoOf(row)).toMatchObject([
      { policySet: 'hostile', bundle: compiledFixture('hostile').digest, outcome: expect.stringMatching(reason) },
    ]);
  });

  test('that loops stalls nobody else', async () => {
    // four loops of 200 ms one after another, had they been here
    await onTime(800, async () => {
      const loops = Array.from({ length: 4 }, () => look({ mode: 'loop' }, 'act'));
      const begun = performance.now();
      for (let count = 0; count < 10; count += 1) expect((await place.call(adminToken, 'fail', {})).result).toBeDefined();
      const tookMs = performance.now() - begun;
      expect((await Promise.all(loops)).every(({ error }) => error.message.includes('time-limit'))).toBe(true);
      return tookMs;
    });
  });

  test('refuses arguments of more than a megabyte', async () => {
    const { error } = await look({ path: '/home/a', value: 'a'.repeat(1_500_000) });
    expect(error.message).toContain('input-too-large');
  });

  test('is explained: the rule, what it says, the bundle, and the facts', async () => {
    const { error } = await look({ path: '/etc/shadow' });
    const id = error.data.decisionId as string;
    await place.gateway.auditRow(({ decisionId }) => decisionId === id);
    const explained = await pollUntil(async () => {
      const answer = await place.qd(['policy', 'explain', id]);
      return answer.stdout.includes('facts') ? answer : undefined;
    }, 'the explanation');
    expect(explained.stdout).toContain('refused by the Rego of PolicySet paths');
    expect(explained.stdout).toContain('rule     rego/paths/no-etc');
    expect(explained.stdout).toContain('says     /etc/shadow is outside of the project.');
    expect(explained.stdout).toContain(`bundle   ${compiledFixture('paths').digest}`);
    expect(explained.stdout).toMatch(/context\.arguments\.paths = \["\/etc\/shadow"\]/);
    expect(explained.stdout).toContain('again      allow, the same');
  });

  test('judges manifests when they are applied, with the row; others of the project are not asked about', async () => {
    const role = (name: string) => ({
      ...{ apiVersion, kind: 'AgentRole', metadata: { name } },
      spec: { instructions: 'Read.', model: 'small', toolset: 'counting', output: { type: 'object' } },
    });
    const model = [
      { apiVersion, kind: 'Provider', metadata: { name: 'local' }, spec: { kind: 'local' } },
      { apiVersion, kind: 'Model', metadata: { name: 'small' }, spec: { routes: [{ provider: 'local', model: 'tiny' }] } },
    ];
    const apply = (documents: object[], dryRun = false) => place.request('POST', '/apply', { body: { documents, dryRun } });
    const refused = await apply([...model, role('other')]);
    expect(refused).toMatchObject({ status: 403, body: { code: 'not_permitted', rule: 'rego/paths' } });
    expect(refused.body.detail).toContain('A fleet needs a name of the team that runs it.');
    expect((await apply([...model, role('other')], true)).status).toBe(403);
    const row = await place.gateway.auditRow(({ decisionId }) => decisionId === refused.body.decisionId);
    expect(row).toMatchObject({ kind: 'refusal', action: 'applyResource', resource: 'AgentRole/other', policies: ['rego/paths'] });
    expect(regoOf(row)).toMatchObject([{ bundle: compiledFixture('paths').digest, outcome: 'deny' }]);
    expect((await place.request('GET', '/default/default/resources/Model')).body.items).toEqual([]);
    expect((await apply([...model, role('team-a')])).body).toMatchObject({ results: [{}, {}, {}] });
    const applied = await place.gateway.auditRow(({ resource }) => resource === 'AgentRole/team-a');
    expect(regoOf(applied)).toMatchObject([{ outcome: 'pass' }]);
  });

  test('is tried on recorded calls: what the same Rego said counts, what other Rego would say cannot be told', async () => {
    const same = (await post('backtest', [paths()])).body;
    // calls from before there was Rego
    expect(same.undecided).toEqual([{ reason: 'arguments-not-kept', count: expect.any(Number) }]);
    expect(same.flips.filter(({ target }: { target: string }) => target === 'look')).toEqual([]);
    const without = (await post('backtest', [{ ...paths(), spec: { cedar: closed.split('@id("asks")')[0] } }])).body;
    expect(without.flips).toContainEqual(expect.objectContaining({ target: 'look', from: 'deny', to: 'allow' }));
    const other = (await post('backtest', [policySet('paths', 'hostile', { tools: [{ tool: 'look' }] })])).body;
    expect(other.undecided).toContainEqual({ reason: 'arguments-not-kept', count: expect.any(Number) });
  });

  test('refuses before people are asked to approve the call', async () => {
    await publish({
      apiVersion,
      kind: 'PolicySet',
      metadata: { name: 'asking' },
      spec: { cedar: `@id("asks")${closed.split('@id("asks")')[1]}` },
    });
    const before = (await place.database.$client.query('select 1 from approvals')).rows.length;
    expect((await look({ path: '/etc/x' })).error.data.code).toBe('argument_refused');
    expect((await place.database.$client.query('select 1 from approvals')).rows.length).toBe(before);
  });

  test('a publication whose WebAssembly is damaged is not signed so, and is not taken over', async () => {
    const stored = compiledFixture('paths').wasm.slice(0, 40);
    await place.database.$client.query(`update policy_bundles set content = replace(content, $1, 'AAAA')`, [stored]);
    await place.database.$client.query("select pg_notify('quarterdeck_declared', 'x')");
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await look({ path: '/etc/a' })).error.data.rule).toBe('rego/paths/no-etc');
    expect((await look({ path: '/home/a' })).error).toBeUndefined();
  });
});

test('quarterdeck policy validate names the compiler and the bundle', async () => {
  const file = join(folder, 'policy.json');
  writeFileSync(file, JSON.stringify(paths()));
  const answer = await place.qd(['policy', 'validate', file]);
  expect(answer).toMatchObject({ code: 0 });
  expect(answer.stderr).toContain(`Rego of paths: opa 1.22.4, bundle ${compiledFixture('paths').digest.slice(0, 12)}.`);
});
