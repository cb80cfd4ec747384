import { describe, expect, test } from 'vitest';
import { tableOf } from '../../gateway/surface/endpoint-table.ts';
import { argumentsOf } from '../../gateway/surface/exposed.ts';
import { toolsetState } from '../../gateway/surface/toolset-condition.ts';
import { type ToolsetTable, tableOfToolset } from '../../gateway/surface/toolset-table.ts';
import { declaredFrom } from '../../store/declared.ts';
import type { Definition } from '../../store/definition.ts';
import { parsed } from '../support/running-gateway.ts';
import { admin, definitionOf, endpointOf, stored } from '../support/surface-fixture.ts';

const tenancy = { org: 'default', project: 'default' };
const inputSchema = { type: 'object', properties: { query: { type: 'string' }, org: { type: 'string' } }, required: ['query', 'org'] };
const search = { name: 'search', description: 'Searches', inputSchema };
const tools: Definition[] = [
  definitionOf('one', 'tool', search),
  definitionOf('one', 'tool', { name: 'only_one', inputSchema }),
  definitionOf('one', 'prompt', { name: 'review', arguments: [{ name: 'code' }] }),
  definitionOf('one', 'template', { uriTemplate: 'file:///{path}', name: 'files' }),
  definitionOf('two', 'tool', search),
  definitionOf('two', 'tool', { name: 'only_two', inputSchema }),
  definitionOf('two', 'prompt', { name: 'review' }),
];

const resultOf = (spec: object, definitions = tools, others: object[] = []) => {
  const servers = ['one', 'two'].map((name) => ({ kind: 'McpServer', metadata: { name }, spec: { url: 'http://127.0.0.1:9/mcp' } }));
  const resources = parsed(...servers, ...others, { kind: 'Toolset', metadata: { name: 'all' }, spec });
  const declared = declaredFrom(stored(resources), definitions);
  return { declared, result: tableOfToolset(declared, tenancy, 'all') };
};
const tableFor = (spec: object, definitions = tools): ToolsetTable => {
  const { result } = resultOf(spec, definitions);
  if (!result.ok) throw new Error(result.detail);
  return result.table;
};
/** Exposed names with the server behind each. */
const routes = (table: ToolsetTable): Record<string, string> =>
  Object.fromEntries([...table.tools].map(([name, { server, pinned }]) => [name, `${server.metadata.name}/${pinned.name}`]));
const both = [{ name: 'one' }, { name: 'two' }];

describe('names of a toolset of several servers', () => {
  test('a prefix keeps equal names apart, and each leads to its own server', () => {
    expect(routes(tableFor({ servers: both }))).toEqual({
      one__search: 'one/search',
      one__only_one: 'one/only_one',
      two__search: 'two/search',
      two__only_two: 'two/only_two',
    });
  });

  test('a prefix has the form that the toolset gives it', () => {
    expect(Object.keys(routes(tableFor({ servers: [{ name: 'two' }], prefix: 'x.{server}-' })))).toEqual([
      'x.two-only_two',
      'x.two-search',
    ]);
  });

  test('with `conflicts: fail` two equal plain names fail the toolset, and the condition names them and what to do', () => {
    const { result } = resultOf({ servers: both, naming: 'plain' });
    expect(result).toMatchObject({ ok: false, reason: 'conflict' });
    expect(toolsetState(result, [])).toMatchObject({
      status: 'False',
      reason: 'Conflict',
      message: expect.stringMatching(/search of one and two.*review of one and two.*`rename`/),
    });
  });

  test('with `conflicts: priority` the server listed first keeps the name', () => {
    const table = tableFor({ servers: both, naming: 'plain', conflicts: 'priority' });
    expect(routes(table)).toEqual({ search: 'one/search', only_one: 'one/only_one', only_two: 'two/only_two' });
    expect(table.prompts.get('review')?.server.metadata.name).toBe('one');
    const reversed = tableFor({ servers: both.toReversed(), naming: 'plain', conflicts: 'priority' });
    expect(reversed.tools.get('search')?.server.metadata.name).toBe('two');
  });

  test('with `conflicts: manual` nobody has a name that clashes until `rename` tells them apart', () => {
    const { result } = resultOf({ servers: both, naming: 'plain', conflicts: 'manual' });
    expect(result.ok && Object.keys(routes(result.table))).toEqual(['only_one', 'only_two']);
    expect(toolsetState(result, [])).toMatchObject({ status: 'False', message: expect.stringContaining('the tool search of one and two') });
    const renamed = tableFor({
      servers: [{ name: 'one' }, { name: 'two', rename: { search: 'search_two', review: 'review_two' } }],
      naming: 'plain',
      conflicts: 'manual',
    });
    expect(routes(renamed)).toMatchObject({ search: 'one/search', search_two: 'two/search' });
    expect([...renamed.prompts.keys()]).toEqual(['review', 'review_two']);
    expect(renamed.clashes).toEqual([]);
  });

  test('a new name is used as it is given, without a prefix, and shows in the definition', () => {
    const table = tableFor({ servers: [{ name: 'one', rename: { search: 'find' } }] });
    expect(table.tools.get('find')).toMatchObject({ shown: { name: 'find', description: 'Searches' }, pinned: { name: 'search' } });
  });

  test('a name that becomes too long is left out, and the condition names the loser', () => {
    const long = 'x'.repeat(126);
    const { result } = resultOf({ servers: [{ name: 'one' }] }, [definitionOf('one', 'tool', { name: long, inputSchema })]);
    expect(result.ok && result.table.tools.size).toBe(0);
    expect(toolsetState(result, []).message).toContain(`tool ${long} of one is left out`);
  });

  test('what is not as it was approved takes no name from what is', () => {
    const changed = tools.map((tool) => (tool.server === 'one' && tool.name === 'search' ? { ...tool, currentHash: 'other' } : tool));
    expect(routes(tableFor({ servers: both, naming: 'plain', conflicts: 'priority' }, changed))).toMatchObject({ search: 'two/search' });
  });
});

describe('what a toolset takes of a server', () => {
  test('only some tools, hides some, and none of the prompts or resources', () => {
    const table = tableFor({
      servers: [{ name: 'one', tools: ['search', 'only_one'], hide: ['only_one'], prompts: 'none', resources: 'none' }],
    });
    expect([...table.tools.keys()]).toEqual(['one__search']);
    expect(table.prompts.size).toBe(0);
    expect(table.templates).toEqual([]);
  });

  test('templates whose text fits the patterns', () => {
    const kept = (resources: unknown) => tableFor({ servers: [{ name: 'one', resources }] }).templates.length;
    expect([kept(['file:///*']), kept(['http:*']), kept(['*', '!file:*']), kept('all')]).toEqual([1, 0, 0, 1]);
  });

  test('another description, and nothing else of the definition changes', () => {
    const table = tableFor({ servers: [{ name: 'one', describe: { search: 'Finds things', 'file:///{path}': 'Files' } }] });
    expect(table.tools.get('one__search')?.shown).toEqual({ ...search, name: 'one__search', description: 'Finds things' });
    expect(table.templates[0]?.shown).toEqual({ uriTemplate: 'file:///{path}', name: 'files', description: 'Files' });
  });

  test('fixed arguments leave the schema, and are put over what a caller gives', () => {
    const tool = tableFor({ servers: [{ name: 'one', fix: { search: { org: 'acme' } } }] }).tools.get('one__search');
    expect(tool?.shown.inputSchema).toEqual({ type: 'object', properties: { query: { type: 'string' } }, required: ['query'] });
    expect(tool && argumentsOf(tool, { query: 'q', org: 'other' })).toEqual({ query: 'q', org: 'acme' });
  });

  test('an argument that the tool does not have is not fixed silently: the tool is left out and the condition says why', () => {
    const { result } = resultOf({ servers: [{ name: 'one', fix: { search: { team: 'x' } } }] });
    expect(result.ok && [...result.table.tools.keys()]).toEqual(['one__only_one']);
    expect(toolsetState(result, []).message).toMatch(/search of one is left out: `fix` names arguments that it does not have \(team\)/);
  });

  test('names that the server does not have are told', () => {
    const { result } = resultOf({ servers: [{ name: 'one', hide: ['serach'], rename: { nothing: 'x' } }] });
    expect(toolsetState(result, []).message).toContain('one has nothing called serach, nothing');
  });

  test('a tool whose headers are not valid is left out', () => {
    const bad = { name: 'bad', inputSchema: { type: 'object', properties: { price: { type: 'number', 'x-mcp-header': 'Price' } } } };
    const good = { name: 'good', inputSchema: { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } } } };
    const table = tableFor({ servers: [{ name: 'one' }] }, [definitionOf('one', 'tool', bad), definitionOf('one', 'tool', good)]);
    expect([...table.tools.keys()]).toEqual(['one__good']);
    expect(table.tools.get('one__good')).toMatchObject({
      shown: { inputSchema: good.inputSchema },
      headers: [{ header: 'mcp-param-region', path: ['region'], type: 'string' }],
    });
  });
});

describe('everything that a caller may use', () => {
  test('stands at /mcp as project__toolset__name, with a key of its own for each source', () => {
    const { declared } = resultOf({ servers: both });
    const result = tableOf(declared, endpointOf('/mcp'), admin);
    expect(result.ok && [...result.table.tools.keys()]).toContain('default__all__one__search');
    expect(result.ok && [...result.table.prompts.keys()]).toEqual(['default__all__one__review', 'default__all__two__review']);
    expect(result.ok && result.table.sources.map(({ key }) => key)).toEqual(['default.all.one', 'default.all.two']);
  });

  test('is made once for one view of what is declared', () => {
    const { declared } = resultOf({ servers: both });
    const [first, second] = [1, 2].map(() => tableOf(declared, endpointOf('/mcp'), admin));
    expect(first?.ok && second?.ok && first.table === second.table).toBe(true);
  });
});
