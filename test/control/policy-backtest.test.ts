import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BacktestReport } from '../../schema/policy-backtest.ts';
import { type PolicyPlace, startPolicyPlace } from '../support/policy-place.ts';
import { pollUntil } from '../support/poll-until.ts';
import { guestToken } from '../support/running-gateway.ts';

const apiVersion = 'quarterdeck.dev/v1alpha1';
const policySet = (name: string, cedar: string) => ({ apiVersion, kind: 'PolicySet', metadata: { name }, spec: { cedar } });
const noSecrets = `@id("no-secrets")
forbid (principal is Quarterdeck::Agent, action == Quarterdeck::Action::"callTool", resource)
when { context.arguments.paths.contains("/secret") };`;
const noA = `@id("no-a") @advice("Leave /a alone.")
forbid (principal is Quarterdeck::Agent, action == Quarterdeck::Action::"callTool", resource)
when { context.arguments.paths.contains("/a") };`;

let place: PolicyPlace;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-backtest-'));
  place = await startPolicyPlace({
    resources: [
      { kind: 'AccessBinding', metadata: { name: 'readers' }, spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['counting'] } },
      { kind: 'PolicySet', metadata: { name: 'paths' }, spec: { cedar: noSecrets } },
    ],
  });
  const reader = await place.agentToken('reader');
  for (const path of ['/a', '/a', '/b', '/secret']) await place.call(reader, 'look', { path });
  await place.call(await place.agentToken('reader'), 'act', { path: '/a', url: 'https://a.test/?q=1' });
  await place.call(await place.agentToken('clerk'), 'look', { path: '/a' });
  await pollUntil(async () => {
    const { rows } = await place.database.$client.query(`select 1 from audit_events where basis is not null and kind <> 'outcome'`);
    return rows.length >= 6 ? rows : undefined;
  }, 'the rows of the calls');
});
afterAll(async () => {
  await place.close();
  rmSync(folder, { recursive: true, force: true });
});

const backtest = async (documents: object[], more: object = {}, token?: string) => {
  const answer = await place.request('POST', '/default/default/policy/backtest', {
    body: { documents, ...more },
    ...(token ? { token } : {}),
  });
  return { status: answer.status, body: answer.body as BacktestReport };
};
const calls = ({ flips }: BacktestReport) => flips.filter(({ role }) => role !== null);

describe('a trial of policies on recorded calls', () => {
  test('finds nothing where the policies are those in force', async () => {
    const { body } = await backtest([policySet('paths', noSecrets)]);
    expect(body).toMatchObject({ flipped: 0, flips: [], undecided: [] });
    expect(body.decided).toBeGreaterThanOrEqual(6);
  });

  test('says what a new forbid would refuse: whom, how often, by which rule, with what advice', async () => {
    const { body } = await backtest([policySet('paths', `${noSecrets}\n${noA}`)]);
    expect(body.flipped).toBe(3);
    expect(body.flips).toEqual([
      expect.objectContaining({
        role: 'reader',
        people: ['admin'],
        action: 'callTool',
        server: 'counting',
        target: 'look',
        from: 'allow',
        to: 'deny',
        by: ['policyset/paths/no-a'],
        advice: ['Leave /a alone.'],
        isSoToday: false,
        count: 2,
      }),
      expect.objectContaining({ target: 'act', count: 1 }),
    ]);
  });

  test('says which calls people would have to allow first: that is another decision than an allow and than a deny', async () => {
    const asks = `@id("ask-a") @approve("role:reviewer") @reason("Somebody looks at /a.")
forbid (principal is Quarterdeck::Agent, action == Quarterdeck::Action::"callTool", resource)
when { context.arguments.paths.contains("/a") } unless { context.approvedCall };`;
    const { body } = await backtest([policySet('paths', `${noSecrets}\n${asks}`)]);
    expect(body.flips).toEqual([
      expect.objectContaining({
        target: 'look',
        from: 'allow',
        to: 'needsPerson',
        by: ['policyset/paths/ask-a'],
        advice: ['Somebody looks at /a.'],
        count: 2,
      }),
      expect.objectContaining({ target: 'act', to: 'needsPerson', count: 1 }),
    ]);
    const asksForSecrets = noSecrets
      .replace('@id("no-secrets")', '@id("no-secrets") @approve("role:reviewer")')
      .replace(/;$/, ' unless { context.approvedCall };');
    expect((await backtest([policySet('paths', asksForSecrets)])).body.flips).toEqual([
      expect.objectContaining({ from: 'deny', to: 'needsPerson', count: 1 }),
    ]);
  });

  test('says what a forbid that is left out would let through', async () => {
    const { body } = await backtest([policySet('paths', noA)]);
    expect(calls(body)).toContainEqual(
      expect.objectContaining({ from: 'deny', to: 'allow', by: ['binding/readers/agentRole/reader/toolsets/counting'], count: 1 }),
    );
  });

  test('of a folder that is all there is, takes away what is declared beside it', async () => {
    const { body } = await backtest([policySet('paths', noSecrets)], { isWhole: true });
    expect(body.flips.map(({ to, by, role }) => ({ to, by, role }))).toContainEqual({ to: 'deny', by: [], role: 'reader' });
  });

  test('sees the bindings too: one that grants more lets the refused listing through', async () => {
    const binding = {
      apiVersion,
      kind: 'AccessBinding',
      metadata: { name: 'clerks' },
      spec: { subjects: [{ agentRole: 'clerk' }], toolsets: ['counting'] },
    };
    expect((await backtest([binding])).body.flips).toMatchObject([
      { role: 'clerk', action: 'listTool', from: 'deny', to: 'allow', count: 1 },
    ]);
  });

  test('decides nothing about what is not kept: queries of URLs, where a policy looks at whole URLs', async () => {
    const cedar = 'forbid (principal, action == Quarterdeck::Action::"callTool", resource) when { context.arguments.urls.contains("x") };';
    const { body } = await backtest([policySet('urls', cedar)]);
    expect(body).toMatchObject({ flipped: 0, undecided: [{ reason: 'url-cut', count: 1 }] });
  });

  test('looks no further back than it is told, and at no more than the newest so many', async () => {
    const policies = [policySet('paths', `${noSecrets}\n${noA}`)];
    expect((await backtest(policies, { limit: 1 })).body.decided).toBe(1);
    expect((await backtest(policies, { since: new Date(Date.now() + 60_000).toISOString() })).body).toMatchObject({
      decided: 0,
      flipped: 0,
    });
  });

  test('says of policies that a changed world has overtaken that it is so today', async () => {
    await place.gateway.apply({ kind: 'PolicySet', metadata: { name: 'extra' }, spec: { cedar: noA } });
    const { body } = await backtest([policySet('paths', noSecrets)]);
    expect(calls(body).map(({ isSoToday, count }) => ({ isSoToday, count }))).toEqual([
      { isSoToday: true, count: 2 },
      { isSoToday: true, count: 1 },
    ]);
    await place.database.$client.query(`delete from resources where kind = 'PolicySet' and name = 'extra'`);
  });

  test('refuses what is no policy, with the line, and whoever may not read the audit', async () => {
    const invalid = await backtest([policySet('paths', 'permit (principal, action, resource)\nwhen { context.nothing };')]);
    expect(invalid).toMatchObject({ status: 422, body: { code: 'resource_invalid', issues: [{ path: ['spec', 'cedar'] }] } });
    const other = await backtest([{ apiVersion, kind: 'Project', metadata: { name: 'x' }, spec: {} }]);
    expect(JSON.stringify(other.body)).toContain('expected a PolicySet or an AccessBinding');
    expect((await backtest([policySet('paths', noA)], {}, guestToken)).status).toBe(403);
  });
});

describe('quarterdeck policy backtest', () => {
  test('prints the flips and ends with 3; with 0 where there are none', async () => {
    const file = join(folder, 'policy.json');
    writeFileSync(file, JSON.stringify(policySet('paths', `${noSecrets}\n${noA}`)));
    const changed = await place.qd(['policy', 'backtest', file]);
    expect(changed.code).toBe(3);
    expect(changed.stdout).toMatch(
      /^TIMES +WHO +ACTION +TARGET +FROM +TO +BY +LAST +EXAMPLE\n2 +role reader \(for admin\) +callTool +counting\/look +allow +deny +policyset\/paths\/no-a .* dec_/,
    );
    expect(changed.stderr).toMatch(/calls of .* decided again; 3 would be decided otherwise\./);
    writeFileSync(file, JSON.stringify(policySet('paths', noSecrets)));
    expect(await place.qd(['policy', 'backtest', file])).toMatchObject({
      code: 0,
      stdout: '',
      stderr: expect.stringContaining('none would'),
    });
  });

  test('says which file and field is wrong, and which option', async () => {
    const file = join(folder, 'wrong.json');
    writeFileSync(file, JSON.stringify(policySet('paths', 'permit (principal')));
    expect(await place.qd(['policy', 'backtest', file])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/wrong\.json:1:\d+: spec\.cedar/),
    });
    expect((await place.qd(['policy', 'backtest', file, '--since', 'soon'])).code).toBe(2);
    expect((await place.qd(['policy', 'backtest', file, '--limit', '0'])).code).toBe(2);
    expect((await place.qd(['policy', 'backtest'])).code).toBe(2);
  });
});
