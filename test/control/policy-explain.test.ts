import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DecisionExplanation } from '../../schema/policy-explanation.ts';
import { type PolicyPlace, startPolicyPlace } from '../support/policy-place.ts';
import { pollUntil } from '../support/poll-until.ts';
import { adminToken, guestToken } from '../support/running-gateway.ts';

const cedar = `// agents keep out of /secret
@id("no-secrets")
@advice("Use paths that start with /ok/.")
@owner("platform team")
forbid (principal is Quarterdeck::Agent, action == Quarterdeck::Action::"callTool", resource)
when { context.arguments.paths.contains("/secret") && principal.owner == Quarterdeck::User::"default/admin" };

@id("no-hosts")
forbid (principal is Quarterdeck::Agent, action == Quarterdeck::Action::"callTool", resource)
when { context.arguments.hosts.contains("evil.test") };`;

let place: PolicyPlace;
beforeAll(async () => {
  place = await startPolicyPlace({
    resources: [
      { kind: 'AccessBinding', metadata: { name: 'readers' }, spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['counting'] } },
      { kind: 'PolicySet', metadata: { name: 'paths' }, spec: { cedar } },
    ],
  });
});
afterAll(() => place.close());

const explain = (decisionId: string): Promise<DecisionExplanation> =>
  pollUntil(async () => {
    const { status, body } = await place.request('GET', `/default/default/policy/decisions/${decisionId}`);
    return status === 200 && body.facts.length > 0 ? (body as DecisionExplanation) : undefined;
  }, 'the decision in the audit');

const refusedBySecret = async (): Promise<string> => {
  const answer = await place.call(await place.agentToken('reader'), 'look', { path: '/secret' });
  return answer.error.data.decisionId;
};

describe('an explanation of a decision', () => {
  test('names the rule of a refusal with its PolicySet, line, text, annotations, and what it read as it was then', async () => {
    const explanation = await explain(await refusedBySecret());
    expect(explanation).toMatchObject({
      action: 'callTool',
      effect: 'deny',
      role: 'reader',
      person: 'admin',
      target: 'look',
      rows: [{ kind: 'refusal', outcome: 'refused', errorCode: 'argument_refused' }],
      again: { effect: 'deny', policies: ['policyset/paths/no-secrets'] },
      policies: [
        {
          id: 'policyset/paths/no-secrets',
          effect: 'forbid',
          source: { kind: 'PolicySet', name: 'paths', line: 2 },
          text: expect.stringMatching(/^@id\("no-secrets"\)/),
          annotations: { id: 'no-secrets', advice: 'Use paths that start with /ok/.', owner: 'platform team' },
        },
      ],
    });
    expect(explanation.policies[0]?.reads).toEqual([
      { place: 'context.arguments.paths', value: ['/secret'] },
      { place: 'principal.owner', value: 'Quarterdeck::User::"default/admin"' },
    ]);
  });

  test('of an allowed call names the binding that grants it', async () => {
    await place.call(await place.agentToken('reader'), 'look', { path: '/ok/allowed' });
    const { decisionId } = await place.gateway.auditRow(
      ({ facts, decision }) => decision === 'allow' && JSON.stringify(facts).includes('/ok/allowed'),
    );
    const explanation = await explain(decisionId);
    expect(explanation).toMatchObject({ effect: 'allow', again: { effect: 'allow' } });
    expect(explanation.policies).toMatchObject([
      {
        source: { kind: 'AccessBinding', name: 'readers', line: null },
        effect: 'permit',
        text: expect.stringContaining('"default/default/counting"'),
      },
    ]);
    expect(explanation.policies[0]?.reads).toContainEqual({
      place: 'principal in',
      value: expect.arrayContaining(['Quarterdeck::AgentRole::"default/default/reader"']),
    });
  });

  test('of a call with an effect is found by the intent, and its outcome stands beside it', async () => {
    await place.call(await place.agentToken('reader'), 'act', { path: '/ok/effect' });
    const { decisionId } = await place.gateway.auditRow(({ tool, kind }) => tool === 'act' && kind === 'outcome');
    const { rows, effect } = await explain(decisionId);
    expect(effect).toBe('allow');
    expect(rows.map(({ kind }) => kind).sort()).toEqual(['intent', 'outcome']);
  });

  test('tells whoever may read the audit why a name is unknown to its caller, who is told nothing', async () => {
    const answer = await place.call(await place.agentToken('clerk'), 'look');
    expect(answer.error.message).not.toMatch(/policy|permit|forbid/i);
    const explanation = await explain(answer.error.data.decisionId);
    expect(explanation).toMatchObject({ action: 'listTool', effect: 'deny', policyIds: [], policies: [], again: { effect: 'deny' } });
    const mine = await place.request('GET', `/default/default/policy/decisions/${answer.error.data.decisionId}`, { token: guestToken });
    expect(mine.status).toBe(403);
  });

  test('shows the policies and facts of the time of the decision, whatever has changed since, and decides the same again', async () => {
    const decisionId = await refusedBySecret();
    await explain(decisionId);
    await place.gateway.apply({
      kind: 'PolicySet',
      metadata: { name: 'paths' },
      spec: { cedar: 'permit (principal is Quarterdeck::Agent, action, resource);' },
    });
    expect(await explain(decisionId)).toMatchObject({
      effect: 'deny',
      again: { effect: 'deny', policies: ['policyset/paths/no-secrets'] },
      policies: [{ id: 'policyset/paths/no-secrets', source: { line: 2 } }],
    });
    await place.gateway.apply({ kind: 'PolicySet', metadata: { name: 'paths' }, spec: { cedar } });
  });

  test('of what the api refused names the rule and the person', async () => {
    const { body, status } = await place.request('GET', '/default/default/audit', { token: guestToken });
    expect(status).toBe(403);
    expect(await explain(body.decisionId)).toMatchObject({
      action: 'readAudit',
      effect: 'deny',
      person: 'guest',
      again: { effect: 'deny' },
    });
  });

  test('of an id that nobody knows, or that is none, is refused in clear words', async () => {
    expect(await place.request('GET', '/default/default/policy/decisions/dec_nobody')).toMatchObject({
      status: 404,
      body: { code: 'not_found', detail: expect.stringContaining('has no decision dec_nobody') },
    });
    expect((await place.request('GET', '/default/default/policy/decisions/nonsense')).status).toBe(400);
  });

  test('never keeps the query of a URL, and says so', async () => {
    const answer = await place.call(await place.agentToken('reader'), 'look', { path: '/secret', url: 'https://a.test/x?key=sekret' });
    const explanation = await explain(answer.error.data.decisionId);
    expect(explanation.facts).toContainEqual({ place: 'context.arguments.urls', value: ['https://a.test/x?…'] });
    expect(explanation.notes.join()).toContain('Queries and fragments');
    const { rows } = await place.database.$client.query(`select facts::text from audit_events where facts::text like '%sekret%'`);
    expect(rows).toEqual([]);
  });
});

describe('quarterdeck policy explain', () => {
  test('prints verdict, rule, place and facts, and JSON with -o json', async () => {
    const decisionId = await refusedBySecret();
    await explain(decisionId);
    const { code, stdout } = await place.qd(['policy', 'explain', decisionId]);
    expect(code).toBe(0);
    expect(stdout).toContain('policies   deny (callTool)\n');
    expect(stdout).toContain('again      deny, the same\n');
    expect(stdout).toContain('forbid by policyset/paths/no-secrets\n  from     PolicySet paths, line 2\n');
    expect(stdout).toContain('  @advice  Use paths that start with /ok/.\n');
    expect(stdout).toContain('    context.arguments.paths = ["/secret"]\n    principal.owner = Quarterdeck::User::"default/admin"\n');
    expect(JSON.parse((await place.qd(['policy', 'explain', decisionId, '-o', 'json'])).stdout).effect).toBe('deny');
  });

  test('ends with 4 for whoever may not read the audit, and with 1 for an unknown id', async () => {
    expect((await place.qd(['policy', 'explain', 'dec_x'], guestToken)).code).toBe(4);
    expect(await place.qd(['policy', 'explain', 'dec_x'], adminToken)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('has no decision dec_x'),
    });
  });
});

test('every decision on record is made again to the same verdict by the same policies, when policies, bindings, project, people, tools and the gateway are others', {
  timeout: 90_000,
}, async () => {
  const { gateway, server, database } = place;
  const binding = (toolsets: string[]) => ({
    kind: 'AccessBinding',
    metadata: { name: 'readers' },
    spec: { subjects: [{ agentRole: 'reader' }], toolsets },
  });
  const project = (frozen: boolean) => ({ kind: 'Project', metadata: { name: 'default' }, spec: { frozen } });
  await gateway.apply(binding(['counting']), project(false), { kind: 'PolicySet', metadata: { name: 'paths' }, spec: { cedar } });
  await database.$client.query(`update people set disabled = false, groups = '{guests}' where id = 'guest'`);
  const reader = () => place.agentToken('reader');
  await pollUntil(async () => (await place.call(await reader(), 'look', { path: '/ok/before' })).result, 'a call that is allowed');
  await place.call(await reader(), 'look', { path: '/secret' });
  await place.call(await reader(), 'look', { url: 'https://evil.test/x' });
  await place.call(await reader(), 'act', { path: '/ok/done' });
  await place.call(await place.agentToken('clerk'), 'look');
  await place.call(adminToken, 'look', { path: '/secret' });
  await place.request('GET', '/default/default/audit', { token: guestToken });
  // the last thing before everything changes: when its row is there, those before it are
  await place.call(await reader(), 'look', { path: '/ok/last' });
  await gateway.auditRow(({ facts, decision }) => decision === 'allow' && JSON.stringify(facts).includes('/ok/last'));
  const before = await gateway.audit({ limit: 500 });

  await gateway.apply(binding([]), project(true), {
    kind: 'PolicySet',
    metadata: { name: 'paths' },
    spec: { cedar: 'permit (principal is Quarterdeck::Agent, action, resource);' },
  });
  await database.$client.query(`update people set disabled = true, roles = '{}', groups = '{others}' where id = 'guest'`);
  server.state.tools = server.state.tools.map((tool) => ({ ...tool, annotations: { readOnlyHint: false, destructiveHint: true } }));
  await gateway.restart();

  const seen = new Set<string>();
  for (const { decisionId, sequence } of before) {
    // what decisions were made on is written down in the background
    const { effect, again, policyIds, action } = await pollUntil(async () => {
      const { status, body } = await place.request('GET', `/default/default/policy/decisions/${decisionId}`);
      return status === 200 && (body.effect === null || body.again) ? (body as DecisionExplanation) : undefined;
    }, `decision ${decisionId} made again`);
    // rows of what no policy was asked about, such as what a server offers
    if (effect === null) continue;
    expect(again, `row ${sequence}, ${action}`).toEqual({ effect, policies: policyIds });
    seen.add(`${action} ${effect}`);
  }
  for (const kind of ['callTool allow', 'callTool deny', 'listTool deny', 'readAudit deny']) expect([...seen]).toContain(kind);
});
