import { describe, expect, test } from 'vitest';
import type { GatewayContext } from '../../gateway/gateway-context.ts';
import { resolveFacts } from '../../gateway/surface/resolve-facts.ts';
import { canonicalize } from '../../gateway/tool-call/canonicalize.ts';
import type { ToolCall } from '../../gateway/tool-call/tool-call.ts';
import type { McpServer } from '../../gateway/upstream/upstream-pool.ts';
import { lexicalFacts } from '../../policy/argument-facts.ts';
import { PlatformError } from '../../schema/errors.ts';
import { parsed } from '../support/running-gateway.ts';
import { requestOf, stored } from '../support/surface-fixture.ts';

const [server] = stored(parsed({ kind: 'McpServer', metadata: { name: 'files' }, spec: { command: ['serve'] } })) as McpServer[];
const found = (path: string) => ({ path, canonical: path, exists: true, escapes: false, volumes: null });
const longPath = `/${'x'.repeat(4096)}`;

test('a path that no system opens is not asked about, and takes nothing from the others of its batch', async () => {
  const asked: string[] = [];
  const resolvePaths = async (paths: string[]) => {
    asked.push(...paths);
    return paths.map(found);
  };
  const all = [longPath, longPath.slice(0, 4096), '/a'].map((path) => lexicalFacts({ path }));
  const facts = await resolveFacts(server as McpServer, { resolvePaths }, all);
  expect(facts.map(({ canonical }) => canonical)).toEqual([false, true, true]);
  expect(asked).toEqual([longPath.slice(0, 4096), '/a']);
});

describe('what the host answers to the paths of one call', () => {
  const run = async (code: PlatformError['code'] | undefined, path = '/a') => {
    let forgotten = 0;
    const call = {
      gateway: {} as GatewayContext,
      pool: { forget: () => (forgotten += 1) },
      request: requestOf('tools/call'),
      arguments: { path },
      tool: { server, pinned: { name: 'read' } },
      connection: {
        resolvePaths: async (paths: string[]) => {
          if (code) throw new PlatformError(code, 'no');
          return paths.map(found);
        },
      },
    } as unknown as ToolCall;
    const outcome = await canonicalize(call, async () => ({ kind: 'result', result: {} })).catch((error: PlatformError) => error.code);
    return { outcome, forgotten, facts: call.facts };
  };

  test('is no reason to take the connection from everybody, unless its instance is gone', async () => {
    expect(await run('input_invalid')).toMatchObject({ outcome: 'input_invalid', forgotten: 0 });
    expect(await run('not_found')).toMatchObject({ outcome: 'server_unavailable', forgotten: 1 });
    expect(await run('server_unavailable')).toMatchObject({ outcome: 'server_unavailable', forgotten: 1 });
  });

  test('is not asked for of a path over 4,096 characters, which is refused as one that is not plain', async () => {
    expect(await run('input_invalid', longPath)).toMatchObject({
      outcome: { kind: 'result' },
      forgotten: 0,
      facts: { canonical: false, paths: [longPath] },
    });
  });
});
