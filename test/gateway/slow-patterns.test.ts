import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findSlowPatterns } from '../../gateway/pins/find-slow-patterns.ts';
import { isSlowPattern } from '../../gateway/pins/is-slow-pattern.ts';
import { acceptDefinitions } from '../../store/accept-definitions.ts';
import { listDefinitions } from '../../store/definitions.ts';
import { pollUntil } from '../support/poll-until.ts';
import { type RawMcpServer, startRawMcpServer } from '../support/raw-mcp-server.ts';
import { adminToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

/** As many definitions, each of which refers to the next one twice. */
const doublingSchema = (count: number) => ({
  type: 'object',
  properties: { text: { $ref: '#/$defs/d0' } },
  $defs: Object.fromEntries(
    Array.from({ length: count + 1 }, (_, index) => {
      const next = { $ref: `#/$defs/d${index + 1}` };
      return [`d${index}`, index === count ? { type: 'number' } : { anyOf: [next, next] }];
    }),
  ),
});

describe('a pattern', () => {
  test.each([
    '^(a+)+$',
    '^(a*)*$',
    '(x+x+)+y',
    '^([a-z]+\\s?)*$',
    '^(\\w+|\\d+)*$',
    '^(?:a|a)*$',
    '^(?:.|\\s)*$',
    '^((ab)*)*$',
    '^(?:(?:[a-z]+)?[a-z]*)+!$',
    '(.*,)*x',
    '^(a+){2,}$',
    '^(a{1,40}){1,40}$',
    '^(?<name>[^x]+)+$',
    '^(a|aa)+$',
    '^(a|b|ab)*c',
    '(?:aa|a){1,100}$',
    '^(ab?|bb?)*$',
    '^(?:(?!x)a+)+$',
    '^(a?b?c?)*$',
    '(a?a)*$',
    '(\\d{1,3}\\.?)*$',
    '(?:a?){30}a{30}',
    'a*a*a*a*a*a*b',
    '.*.*.*.*.*=.*',
  ])('%s can take for ever', (pattern) => {
    expect(isSlowPattern(pattern)).toBe(true);
  });

  test.each([
    '^[a-z0-9]+(-[a-z0-9]+)*$',
    '^[^@\\s]+@[^@\\s]+\\.[a-z]{2,}$',
    '^\\d{4}-\\d{2}-\\d{2}$',
    '^(?:[a-z]+/)*[a-z]+$',
    '^(\\w+\\.)+com$',
    '^(foo|bar)*$',
    '^(\\.|\\w)+$',
    '^(?:\\(\\)|\\[\\])+$',
    '^/?(?:[^/]+/)*[^/]*$',
    '^[A-Za-z0-9_.-]{1,64}$',
    '^(https?)://[^\\s]+$',
    '^#(?:[0-9a-f]{3}){1,2}$',
    '^(far|foo)+$',
    '^"(?:\\\\.|[^"\\\\])*"$',
    '^(?:(?!\\*/)[\\s\\S])*$',
    '^(?=.*[A-Z])(?=.*[a-z])(?=.*\\d).{8,}$',
    '^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)$',
    '^P(?:\\d+Y)?(?:\\d+M)?(?:\\d+D)?(?:T(?:\\d+H)?(?:\\d+M)?(?:\\d+S)?)?$',
    '^.*foo.*bar.*$',
    '',
  ])('%s is let be', (pattern) => {
    expect(isSlowPattern(pattern)).toBe(false);
  });

  test('of any form is judged at once', () => {
    for (const pattern of ['('.repeat(1_000), '[', '(?', '\\', '{,}', '('.repeat(900) + 'a+'.repeat(100) + ')+'.repeat(400)]) {
      const began = performance.now();
      isSlowPattern(pattern);
      expect(performance.now() - began, pattern.slice(0, 20)).toBeLessThan(10_000);
    }
  });

  test('is found wherever in a schema it stands', () => {
    const deep = { properties: { a: { items: { anyOf: [{ pattern: '^(a+)+$' }, { patternProperties: { '^(b+)+$': {} } }] } } } };
    expect(findSlowPatterns({ inputSchema: deep })).toHaveLength(2);
    expect(findSlowPatterns({ inputSchema: { type: 'object' }, outputSchema: { propertyNames: { pattern: '^(a*)*$' } } })).toHaveLength(1);
    expect(findSlowPatterns({ inputSchema: { pattern: 'a'.repeat(3_000) } })).toEqual([expect.stringContaining('too long to be judged')]);
    expect(findSlowPatterns({ name: 'x', description: 'the pattern ^(a+)+$' })).toEqual([]);
  });

  test('need not be there where definitions multiply, or where judging them all is the attack', () => {
    const doubling = (count: number) => ({ inputSchema: doublingSchema(count) });
    expect(findSlowPatterns(doubling(30))).toEqual([expect.stringContaining('refers to its own definitions so often')]);
    expect(findSlowPatterns(doubling(4))).toEqual([]);
    const tree = { type: 'object', properties: { below: { type: 'array', items: { $ref: '#' } } } };
    expect(findSlowPatterns({ inputSchema: tree })).toEqual([]);
    const wide = Array.from({ length: 900 }, (_, index) => ({ pattern: `(${'ab|'.repeat(600)}${index})*` }));
    const narrow = wide.map((_, index) => ({
      pattern: `^(?:${Array.from({ length: 300 }, (__, part) => `${part}_`).join('|')}${index})+$`,
    }));
    const began = process.threadCpuUsage();
    for (const anyOf of [wide, narrow]) expect(findSlowPatterns({ inputSchema: { anyOf } })).not.toEqual([]);
    expect(process.threadCpuUsage(began).user).toBeLessThan(3_000_000);
  });
});

describe('a tool with such a pattern', () => {
  const evil = { type: 'object', properties: { text: { type: 'string', pattern: '^(a+)+$' } } };
  const text = `${'a'.repeat(40)}!`;
  const key = { org: 'default', project: 'default', server: 'evil' };
  let gateway: RunningGateway;
  let server: RawMcpServer;
  let calls = 0;
  beforeAll(async () => {
    server = await startRawMcpServer({
      'tools/list': () => ({
        result: {
          tools: [
            { name: 'slow', inputSchema: evil, annotations: { readOnlyHint: true } },
            { name: 'doubling', inputSchema: doublingSchema(60), annotations: { readOnlyHint: true } },
            { name: 'quick', inputSchema: { type: 'object' }, annotations: { readOnlyHint: true } },
          ],
        },
      }),
      'tools/call': () => {
        calls += 1;
        return { result: { content: [{ type: 'text', text: 'done' }] } };
      },
    });
    gateway = await startRunningGateway();
    await gateway.apply(
      { kind: 'McpServer', metadata: { name: 'evil' }, spec: { url: server.url } },
      { kind: 'Toolset', metadata: { name: 'evil' }, spec: { servers: [{ name: 'evil' }], naming: 'plain' } },
    );
    await gateway.ready('evil');
  });
  afterAll(async () => {
    await gateway.close();
    await server.close();
  });
  const call = async (name: string, given: object) => {
    const began = performance.now();
    const response = await fetch(`${gateway.publicUrl}/mcp/evil`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${adminToken}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: given } }),
    });
    return { body: await response.text(), tookMs: performance.now() - began };
  };

  test('is not accepted by itself: it is hidden, and its issue says why', async () => {
    expect((await call('slow', { text })).body).toContain('-32602');
    expect(calls).toBe(0);
    expect((await call('quick', {})).body).toContain('done');
    const slow = (await listDefinitions(gateway.database, key)).find(({ name }) => name === 'slow');
    expect(slow).toMatchObject({ approvedHash: '', issues: ['the pattern "^(a+)+$" can take for ever'] });
  });

  test('that a person accepted all the same holds nobody up: its calls and those of others are answered at once', async () => {
    const slowest = (await listDefinitions(gateway.database, key)).filter((row) => row.issues.length > 0);
    expect(slowest.map(({ name }) => name).sort()).toEqual(['doubling', 'slow']);
    const definitions = slowest.map(({ kind, name, currentHash }) => ({ kind, name, currentHash }));
    await acceptDefinitions(gateway.database, key, { definitions, acceptIssues: true }, 'admin');
    await pollUntil(async () => (await call('slow', { text: 'x' })).body.includes('done') || undefined, 'the tool to be in force');
    for (const name of ['slow', 'doubling']) {
      const [slow, other] = await Promise.all([call(name, { text }), call('quick', {})]);
      expect([slow.body, other.body]).toEqual([expect.stringContaining('done'), expect.stringContaining('done')]);
      // JavaScript would take hours for this text
      expect(Math.max(slow.tookMs, other.tookMs)).toBeLessThan(10_000);
    }
    // on a machine that does other things one of many is not held up
    for (const name of ['slow', 'doubling'])
      await pollUntil(async () => (await call(name, { text })).tookMs < 100 || undefined, 'an answer within 100 ms');
  });
});
