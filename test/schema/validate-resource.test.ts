import { describe, expect, test } from 'vitest';
import { jsonSchemaOf, kinds } from '../../schema/resource.ts';
import { validateResource } from '../../schema/validate-resource.ts';

const apiVersion = 'quarterdeck.dev/v1alpha1';
const issuesOf = (document: unknown) => {
  const result = validateResource(document);
  return result.ok ? [] : result.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
};

describe('what users write', () => {
  test('the smallest resources of the design stand as they are', () => {
    const server = validateResource({
      apiVersion,
      kind: 'McpServer',
      metadata: { name: 'echo' },
      spec: { url: 'http://127.0.0.1:9100/mcp', transport: 'streamable-http' },
    });
    const toolset = validateResource({
      apiVersion,
      kind: 'Toolset',
      metadata: { name: 'echo' },
      spec: { servers: [{ name: 'echo' }], naming: 'plain' },
    });
    expect(server).toMatchObject({ ok: true, resource: { metadata: { org: 'default', project: 'default' } } });
    expect(toolset).toMatchObject({ ok: true, resource: { spec: { conflicts: 'fail' } } });
  });

  test('a field that is not built yet is refused by name, and a typo as unknown', () => {
    const role = {
      apiVersion,
      kind: 'AgentRole',
      metadata: { name: 'r' },
      spec: { instructions: 'x', model: 'm', output: { type: 'object' }, depth: 3, instrucions: 'x' },
    };
    expect(issuesOf(role)).toEqual([
      expect.stringMatching(/^spec\.depth: .*not built yet/),
      expect.stringMatching(/^spec\.instrucions: there is no field/),
    ]);
  });

  test('a kind that is not built yet is refused by name', () => {
    expect(issuesOf({ apiVersion, kind: 'Budget', metadata: { name: 'b' }, spec: {} })).toEqual([
      'kind: the kind `Budget` is not built yet',
    ]);
  });

  test('a toolset may narrow, rename, hide, describe and fix what it takes of its servers', () => {
    const spec = {
      servers: [
        {
          name: 'github',
          tools: ['search', 'get_issue'],
          hide: ['delete_repo'],
          rename: { search: 'find' },
          describe: { search: 'Finds code' },
          fix: { search: { org: 'acme', limit: 10 } },
          prompts: 'none',
          resources: ['repo://acme/*', '!repo://acme/private/*'],
        },
        { name: 'files' },
      ],
      naming: 'prefix',
      prefix: '{server}.',
      conflicts: 'manual',
      whenServerFails: 'closed',
    };
    const result = validateResource({ apiVersion, kind: 'Toolset', metadata: { name: 't' }, spec });
    expect(result).toMatchObject({ ok: true, resource: { spec } });
    expect(result.ok && result.resource.spec).toMatchObject({
      servers: [{}, { tools: 'all', prompts: 'all', resources: 'all', hide: [] }],
    });
  });

  test.each<[string, object, RegExp]>([
    ['the same server twice', { servers: [{ name: 'a' }, { name: 'a' }] }, /^spec\.servers: expected each server once/],
    [
      'one new name for two tools',
      { servers: [{ name: 'a', rename: { x: 'z', y: 'z' } }] },
      /^spec\.servers: expected another new name for each/,
    ],
    [
      'a new name that clients refuse',
      { servers: [{ name: 'a', rename: { x: 'a b' } }] },
      /^spec\.servers\.0\.rename\.x: expected a tool name/,
    ],
    ['a prefix without the server', { servers: [{ name: 'a' }], prefix: 'x_' }, /^spec\.prefix: expected `\{server\}` with/],
    ['a typo', { servers: [{ name: 'a', renam: {} }] }, /^spec\.servers\.0\.renam: there is no field/],
    ['a field that is not built yet', { servers: [{ name: 'a' }], composite: [] }, /^spec\.composite: .*not built yet/],
    ['a pattern with a space', { servers: [{ name: 'a', resources: ['file:///a b'] }] }, /^spec\.servers\.0\.resources/],
  ])('a toolset with %s is refused at its place', (_what, spec, message) => {
    expect(issuesOf({ apiVersion, kind: 'Toolset', metadata: { name: 't' }, spec }).join('\n')).toMatch(message);
  });

  test.each<[string, unknown, RegExp]>([
    ['no spec of a server', { url: undefined }, /spec: expected exactly one of `url`, `package` and `command`/],
    ['two sources', { url: 'http://a/', command: ['x'] }, /url and command are given/],
    ['a wrong scheme', { url: 'ftp://a/' }, /^spec\.url: /],
    ['a volume of a remote server', { url: 'http://a/', volumes: [] }, /^spec\.volumes: there is no field/],
    [
      'a cage path with a space',
      { command: ['x'], volumes: [{ name: 'input', at: '/in put' }] },
      /^spec\.volumes\.0\.at: expected an absolute path inside the cage/,
    ],
  ])('an McpServer with %s is refused at its place', (_what, spec, message) => {
    const given = typeof spec === 'object' && spec !== null && 'url' in spec && spec.url === undefined ? {} : spec;
    expect(issuesOf({ apiVersion, kind: 'McpServer', metadata: { name: 's' }, spec: given }).join('\n')).toMatch(message);
  });

  test('missing, mistyped and out-of-range values say what is expected', () => {
    const fleet = { apiVersion, kind: 'Fleet', metadata: { name: 'Bad Name' }, spec: { concurrency: 0, stages: [{ name: 'a' }] } };
    expect(issuesOf(fleet)).toEqual([
      expect.stringMatching(/^metadata\.name: expected a name/),
      expect.stringMatching(/^spec\.concurrency: expected at least 1/),
      expect.stringMatching(/^spec\.stages\.0\.role: missing/),
    ]);
  });

  test('what is no resource at all is said to be none', () => {
    for (const document of [null, 3, 'x', []]) expect(issuesOf(document)[0]).toMatch(/expected a resource/);
  });

  test('a secret can be referred to and never written', () => {
    const provider = (apiKey: unknown) => ({
      apiVersion,
      kind: 'Provider',
      metadata: { name: 'p' },
      spec: { kind: 'openai-compatible', baseUrl: 'http://a/v1', apiKey },
    });
    expect(issuesOf(provider({ env: 'OPENAI_API_KEY' }))).toEqual([]);
    expect(issuesOf(provider('sk-123')).length).toBeGreaterThan(0);
  });

  test('each kind has a JSON Schema from the same source', () => {
    for (const kind of kinds)
      expect(jsonSchemaOf(kind)).toMatchObject({ type: 'object', required: expect.arrayContaining(['kind', 'spec']) });
  });
});
