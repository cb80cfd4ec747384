import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { GatewayConfig } from '../../gateway/gateway-config.ts';
import { createHookAddresses } from '../../gateway/hooks/hook-addresses.ts';
import { type PolicyPlace, startPolicyPlace } from '../support/policy-place.ts';
import { pollUntil } from '../support/poll-until.ts';
import { adminToken } from '../support/running-gateway.ts';

const secret = 'a secret of the hook';
const bodies: { raw: string; signature: string; parsed: Record<string, unknown> }[] = [];
/** What the hook answers next; undefined: nothing at all. */
let answer: (body: Record<string, unknown>) => object | string | undefined;
const hook = createServer((request, response) => {
  let raw = '';
  request.on('data', (part) => {
    raw += part;
  });
  request.on('end', () => {
    const parsed = JSON.parse(raw);
    bodies.push({ raw, parsed, signature: String(request.headers['quarterdeck-signature']) });
    const given = answer(parsed);
    if (given !== undefined)
      response.setHeader('content-type', 'application/json').end(typeof given === 'string' ? given : JSON.stringify(given));
  });
});

let place: PolicyPlace;
let token: string;
let version = 0;
/** Declares the hook anew, under a name of its own, so that its breaker is a new one, and waits for the gateway to have it. */
const declare = async (spec: object): Promise<string> => {
  version += 1;
  const name = `guard-${version}`;
  const { port } = hook.address() as AddressInfo;
  const declared = {
    name,
    url: `http://127.0.0.1:${port}/`,
    secret: { env: 'HOOK_SECRET' },
    tools: ['counting/*'],
    // only tests of what does not answer make it short
    timeoutMs: 10_000,
    ...spec,
  };
  await place.gateway.apply({ kind: 'PolicySet', metadata: { name: 'hooks' }, spec: { cedar: '// none', hooks: [declared] } });
  await pollUntil(async () => {
    // the agents' calls are counted
    await place.call(adminToken, 'look', { path: '/a' });
    return (await lastRow())?.some((each) => each.name === name) ? true : undefined;
  }, `the hook ${name}`);
  token = await place.agentToken('reader');
  bodies.length = 0;
  return name;
};
const look = (path = '/a') => place.call(token, 'look', { path });
type Hooked = { name: string; on: string; outcome: string };
/** What the newest row of a call says of hooks. */
const lastRow = async (): Promise<Hooked[] | undefined> => {
  const { rows } = await place.database.$client.query(
    `select facts from audit_events where action = 'callTool' and kind in ('call', 'refusal') order by at desc, sequence desc limit 1`,
  );
  return rows[0]?.facts.hooks;
};
const recorded = (outcome: string) =>
  pollUntil(
    async () => ((await lastRow())?.some((each) => each.outcome === outcome) ? await lastRow() : undefined),
    `a row with ${outcome}`,
  );

beforeAll(async () => {
  await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
  answer = () => ({ decision: 'allow' });
  place = await startPolicyPlace({
    gateway: { environment: { HOOK_SECRET: secret } },
    resources: [
      { kind: 'AccessBinding', metadata: { name: 'readers' }, spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['counting'] } },
    ],
  });
});
afterAll(async () => {
  await place.close();
  hook.closeAllConnections();
  hook.close();
});
beforeEach(() => {
  answer = () => ({ decision: 'allow' });
});

describe('a hook', () => {
  test('is told, signed, who would call what, and lets it pass', async () => {
    const name = await declare({});
    expect((await look('/told')).result).toBeDefined();
    const told = bodies.at(-1);
    expect(told?.parsed).toMatchObject({ version: 1, phase: 'call', server: 'counting', tool: 'look', arguments: { path: '/told' } });
    expect(told?.parsed.principal).toMatch(/^agent:default\/default\//);
    const [, seconds, digest] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(told?.signature ?? '') ?? [];
    expect(digest).toBe(createHmac('sha256', secret).update(`${seconds}.${told?.raw}`).digest('hex'));
    expect(await recorded('allow')).toMatchObject([{ name, on: 'call' }]);
  });

  test('refuses a call, with its reason; nothing is sent', async () => {
    await declare({});
    answer = ({ arguments: given }) =>
      (given as { path: string }).path === '/no' ? { decision: 'deny', reason: 'not on a Sunday' } : { decision: 'allow' };
    const { error } = await look('/no');
    expect(error).toMatchObject({ data: { code: 'hook_refused' }, message: expect.stringContaining('not on a Sunday') });
    expect(await recorded('deny')).toHaveLength(1);
    const row = await place.gateway.auditRow(({ errorCode }) => errorCode === 'hook_refused');
    expect(row).toMatchObject({ kind: 'refusal', decision: 'deny', outcome: 'refused' });
  });

  test('allows nothing that a policy forbids: it is not even asked', async () => {
    await declare({});
    await place.gateway.apply({
      kind: 'PolicySet',
      metadata: { name: 'closed' },
      spec: {
        cedar:
          'forbid (principal is Quarterdeck::Agent, action == Quarterdeck::Action::"callTool", resource) when { context.arguments.paths.contains("/closed") };',
      },
    });
    await pollUntil(
      async () =>
        (await place.call(await place.agentToken('reader'), 'look', { path: '/closed' })).error?.data.code === 'argument_refused'
          ? true
          : undefined,
      'the policy',
    );
    bodies.length = 0;
    await look('/closed');
    expect(bodies).toEqual([]);
  });

  test('has texts masked in a result, at any depth, and changes nothing else', async () => {
    await declare({ on: ['call', 'result'] });
    const plain = (await look('/visible')).result;
    const text = plain.content[0].text as string;
    answer = ({ phase }) => ({ decision: 'allow', ...(phase === 'result' ? { mask: [text.slice(1, 3)], content: 'no' } : {}) });
    const { result } = await look('/visible');
    expect(text).toMatch(/^call \d+ of look$/);
    expect(result.content[0].text).toMatch(/^c\[masked\]l \d+ of look$/);
    expect(Object.keys(result)).toEqual(Object.keys(plain));
    expect((await recorded('masked'))?.map(({ on, outcome }) => [on, outcome])).toEqual([
      ['call', 'allow'],
      ['result', 'masked'],
    ]);
  });

  test('withholds a result', async () => {
    await declare({ on: ['result'] });
    answer = () => ({ decision: 'deny', reason: 'a secret' });
    expect((await look()).result).toMatchObject({
      isError: true,
      content: [{ text: expect.stringMatching(/look ran.*withheld.*a secret/) }],
    });
  });

  test.each<[string, () => object | string | undefined]>([
    ['that does not answer in time', () => undefined],
    ['that answers garbage', () => '{"decision":'],
    ['that answers something else', () => ({ decision: 'perhaps' })],
    ['that answers with a mountain', () => JSON.stringify({ decision: 'allow', reason: 'x'.repeat(70_000) })],
  ])('%s: fails closed by default, and open where that is said', async (_what, given) => {
    await declare({ timeoutMs: 1_000 });
    answer = given;
    expect((await look()).error).toMatchObject({ data: { code: 'hook_unavailable', retryable: true } });
    expect(await recorded('closed')).toHaveLength(1);
    answer = () => ({ decision: 'allow' });
    await declare({ failMode: 'open', timeoutMs: 1_000 });
    answer = given;
    expect((await look()).result).toBeDefined();
    expect(await recorded('open')).toHaveLength(1);
  });

  test('that fails again and again is not asked for a while; its fail mode stands', async () => {
    await declare({ timeoutMs: 1_000 });
    answer = () => undefined;
    for (let call = 0; call < 7; call += 1) expect((await look()).error.data.code).toBe('hook_unavailable');
    expect(bodies.length).toBeLessThan(7);
  });
});

describe('an address', () => {
  const config = {
    publicUrl: 'http://127.0.0.1:7420',
    apiUrl: 'http://127.0.0.1:7421',
    issuerUrl: 'http://127.0.0.1:7422',
    hostUrl: 'http://127.0.0.1:7423',
    localModelUrl: 'http://127.0.0.1:7424',
    databaseUrl: 'postgres://x@127.0.0.1:7425/db',
  };
  const allowed = (url: string, profile: GatewayConfig['profile']): boolean => {
    try {
      createHookAddresses({ ...config, profile }).check(url);
      return true;
    } catch {
      return false;
    }
  };

  test.each([
    'http://93.184.216.34/',
    'https://127.0.0.1/',
    'https://localhost/',
    'https://169.254.169.254/',
    'https://10.0.0.1/',
    'https://[::1]/',
    'https://[::ffff:10.0.0.1]/',
    'https://a:b@example.com/',
  ])('%s is none for a hook in production', (url) => {
    expect(allowed(url, 'production')).toBe(false);
  });

  test('on the public internet is one; on one machine that machine too, but no port of the platform', () => {
    expect(allowed('https://hooks.example.com/x', 'production')).toBe(true);
    expect(allowed('http://127.0.0.1:9999/', 'solo')).toBe(true);
    for (const port of [7420, 7421, 7422, 7423, 7424, 7425]) expect(allowed(`http://127.0.0.1:${port}/`, 'dev')).toBe(false);
    expect(allowed('http://10.0.0.1/', 'dev')).toBe(false);
  });

  test('that a name leads to is checked at the socket', async () => {
    const { dispatcher } = createHookAddresses({ ...config, profile: 'production' });
    // a name that is this machine, however it is spelt
    await expect(dispatcher.request({ origin: 'https://localhost', path: '/', method: 'GET' })).rejects.toThrow(
      /is not on the public internet/,
    );
    await dispatcher.close();
  });
});
