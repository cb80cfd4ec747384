import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PolicyPlace, startPolicyPlace } from '../support/policy-place.ts';
import { pollUntil } from '../support/poll-until.ts';

let place: PolicyPlace;
let token: string;
beforeAll(async () => {
  place = await startPolicyPlace({
    resources: [
      { kind: 'AccessBinding', metadata: { name: 'readers' }, spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['counting'] } },
    ],
  });
  token = await place.agentToken('reader');
});
afterAll(() => place.close());

/** Puts policies into force, and waits until a call is refused by them. */
const publish = async (name: string, cedar: string, refused: object): Promise<void> => {
  await place.gateway.apply({ kind: 'PolicySet', metadata: { name }, spec: { cedar } });
  await pollUntil(async () => ((await place.call(token, 'look', refused)).error ? true : undefined), `the policies ${name}`);
};
const onCalls = 'forbid (principal is Quarterdeck::Agent, action == Quarterdeck::Action::"callTool", resource)';

describe('a condition on arguments', () => {
  beforeAll(() =>
    publish(
      'nested',
      `@id("folder") ${onCalls} when { context.arguments.paths.contains("/secret/a") };
@id("host") ${onCalls} unless { ["api.example.com"].containsAll(context.arguments.hosts) };`,
      { path: '/secret/a' },
    ),
  );

  test.each([
    ['an object', 'nested/folder', { options: { target: { path: '/secret/a' } } }],
    ['a list of objects', 'nested/folder', { steps: [{ path: '/open/a' }, { to: { file: '/secret/a' } }] }],
    ['a list of texts', 'nested/folder', { options: { paths: ['/open/a', '/secret/a'] } }],
    ['a URL deep inside', 'nested/host', { request: [{ with: { url: 'https://evil.example.net/x' } }] }],
  ])('reaches fields that are nested in %s: nothing is called', async (_where, rule, given) => {
    const before = place.server.calls.length;
    const { error } = await place.call(token, 'look', given);
    expect(error.data.code).toBe('argument_refused');
    expect(error.message).toContain(rule);
    expect(place.server.calls.length).toBe(before);
  });

  test('lets the same fields through with other values', async () => {
    const given = { options: { target: { path: '/open/a' } }, request: [{ with: { url: 'https://api.example.com/x' } }] };
    expect((await place.call(token, 'look', given)).result).toBeDefined();
  });
});

test('a policy that meets an error in a real call denies it, and its row says what the error was; Cedar alone would have allowed it', async () => {
  // 64-bit numbers overflow from two bytes of arguments on: Cedar skips such a policy
  await publish('overflow', `@id("sum") ${onCalls} when { context.arguments.bytes * 9223372036854775807 < 0 };`, { path: '/x' });
  const before = place.server.calls.length;
  const { error } = await place.call(token, 'look', { path: '/y' });
  expect(error.data.decisionId).toMatch(/^dec_/);
  expect(place.server.calls.length).toBe(before);
  const row = await place.gateway.auditRow(({ decisionId }) => decisionId === error.data.decisionId);
  expect(row).toMatchObject({
    kind: 'refusal',
    decision: 'deny',
    outcome: 'refused',
    facts: { decisionError: expect.stringContaining('overflow') },
  });
  await place.gateway.apply({ kind: 'PolicySet', metadata: { name: 'overflow' }, spec: { cedar: '// none' } });
  await pollUntil(async () => ((await place.call(token, 'look', { path: '/y' })).result ? true : undefined), 'the policies without it');
});
